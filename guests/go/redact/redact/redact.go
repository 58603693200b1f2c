// Package redact masks e-mail addresses, payment card numbers, IP addresses and bearer tokens in text.
//
// The specification is in guests/README.md. The package knows nothing of the host, so that it can be tested like any
// other.
package redact

import (
	"fmt"
	"slices"
	"strings"
)

// A Kind of data that can be masked.
type Kind int

// The kinds, in the order in which the counts name them.
const (
	Email Kind = iota
	Card
	IPv4
	IPv6
	Token
	kinds
)

var names = [kinds]string{"email", "card", "ipv4", "ipv6", "token"}

// AllKinds is the mask of all kinds.
const AllKinds = "email,card,ipv4,ipv6,token"

// A Mask says which kinds are masked.
type Mask [kinds]bool

// ParseMask reads the names of kinds with commas between them.
func ParseMask(list string) (Mask, error) {
	var mask Mask
	for name := range strings.SplitSeq(list, ",") {
		kind := slices.Index(names[:], name)
		if kind < 0 {
			problem := "an empty element"
			if name != "" {
				problem = "the unknown kind `" + name + "`"
			}
			return Mask{}, fmt.Errorf("`mask` has %s: the kinds are email, card, ipv4, ipv6, token", problem)
		}
		mask[kind] = true
	}
	return mask, nil
}

// Counts says how many matches there were of each kind.
type Counts [kinds]int

func (c Counts) String() string {
	parts := make([]string, kinds)
	for kind, count := range c {
		parts[kind] = fmt.Sprintf("%s=%d", names[kind], count)
	}
	return strings.Join(parts, " ")
}

// A Redactor makes the pass over texts.
type Redactor struct {
	mask         Mask
	replacements [kinds]string
}

// New returns a Redactor for some kinds. In the template, each {kind} stands for the name of the match's kind.
func New(mask Mask, template string) *Redactor {
	r := &Redactor{mask: mask}
	for kind, name := range names {
		r.replacements[kind] = strings.ReplaceAll(template, "{kind}", name)
	}
	return r
}

// Redact returns the body with everything masked that the Redactor is for.
func (r *Redactor) Redact(body []byte) ([]byte, Counts) {
	scan := scanner{text: body}
	output := make([]byte, 0, len(body))
	var counts Counts
	copied := 0
	for i := 0; i < len(body); {
		kind, start, end, ok := r.find(&scan, i)
		if !ok {
			i++
			continue
		}
		output = append(output, body[copied:start]...)
		output = append(output, r.replacements[kind]...)
		counts[kind]++
		copied, i = end, end
	}
	return append(output, body[copied:]...), counts
}

// find returns the first of the masked kinds that matches at i, in an order that the specification fixes, and the part
// of the text to replace.
func (r *Redactor) find(scan *scanner, i int) (kind Kind, start, end int, ok bool) {
	if r.mask[Token] {
		if start, end, ok := scan.token(i); ok {
			return Token, start, end, true
		}
	}
	for _, kind := range [...]Kind{Email, IPv6, IPv4, Card} {
		if !r.mask[kind] {
			continue
		}
		switch kind {
		case Email:
			end, ok = scan.email(i)
		case IPv6:
			end, ok = scan.ipv6(i)
		case IPv4:
			end, ok = scan.ipv4(i)
		case Card:
			end, ok = scan.card(i)
		}
		if ok {
			return kind, i, end, true
		}
	}
	return 0, 0, 0, false
}
