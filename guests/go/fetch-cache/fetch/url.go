package fetch

import "strings"

// A URL is an http or https URL in the parts that a request is made of.
type URL struct {
	isTLS     bool
	authority string
	path      string // with its query, and without a fragment; may be empty
}

// ParseURL returns false for what is no such URL. It takes less than net/url does, since the specification says to the
// byte what a URL is. The host checks the parts again: this is for a clear message.
func ParseURL(text string) (URL, bool) {
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return URL{}, false
	}
	rest, isTLS := strings.CutPrefix(text, "https://")
	if !isTLS {
		var ok bool
		if rest, ok = strings.CutPrefix(text, "http://"); !ok {
			return URL{}, false
		}
	}
	rest, _, _ = strings.Cut(rest, "#")
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	return URL{isTLS, rest[:end], rest[end:]}, end > 0
}
