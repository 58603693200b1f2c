package redact

import "bytes"

// A text is the input as the specification sees it: bytes that can be asked for at any position.
type text []byte

// at returns the byte at a position. Before the start and past the end it is 0, which is in no class, so that no match
// needs to check for the ends.
func (t text) at(position int) byte {
	if position < 0 || position >= len(t) {
		return 0
	}
	return t[position]
}

// run returns where the run of bytes of one class that starts at a position ends.
func (t text) run(position int, isInClass func(byte) bool) int {
	for isInClass(t.at(position)) {
		position++
	}
	return position
}

// hasWord says whether a word stands at a position, in any mixture of upper and lower case.
func (t text) hasWord(position int, word string) bool {
	end := position + len(word)
	if position < 0 || end > len(t) {
		return false
	}
	// EqualFold takes some letters outside ASCII for the same as some inside. They are longer than one byte, so what is as
	// long as the word has none of them.
	return bytes.EqualFold(t[position:end], []byte(word))
}

// The functions of package unicode are for characters; these are for bytes, and know ASCII only.

func isDigit(b byte) bool  { return '0' <= b && b <= '9' }
func isLetter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }
func isHex(b byte) bool    { return isDigit(b) || 'a' <= b|0x20 && b|0x20 <= 'f' }
func isAlnum(b byte) bool  { return isDigit(b) || isLetter(b) }
func isHyphen(b byte) bool { return b == '-' }
func isBlank(b byte) bool  { return b == ' ' || b == '\t' }

func isLead(b byte) bool {
	return isBlank(b) || b == '"' || b == '\'' || b == ':' || b == '='
}

func isLocal(b byte) bool {
	return isAlnum(b) || b == '.' || b == '_' || b == '%' || b == '+' || b == '-'
}

func isCredential(b byte) bool {
	switch b {
	case '-', '.', '_', '~', '+', '/', '=':
		return true
	}
	return isAlnum(b)
}
