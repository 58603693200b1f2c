package redact

// A scanner finds matches in a text, from left to right. Each method says whether its kind matches at i, and where the
// match ends.
type scanner struct {
	text

	// How far local parts of e-mail addresses were read in vain, so that none is read again from its middle.
	tried int
}

// Shorter credentials count only in an authorization header: prose has bearers of bad news.
const shortestInProse = 16

// token also returns where the credential starts, since the word before it is kept.
func (s *scanner) token(i int) (start, end int, ok bool) {
	const scheme = "bearer"
	if isAlnum(s.at(i-1)) || !s.hasWord(i, scheme) {
		return 0, 0, false
	}
	start = s.run(i+len(scheme), isBlank)
	if start == i+len(scheme) {
		return 0, 0, false
	}
	end = s.run(start, isCredential)
	length := end - start
	return start, end, length >= shortestInProse || length >= 1 && s.inAuthorization(i)
}

// inAuthorization says whether what stands before i is `authorization`, with nothing but a colon, quotes and the like in
// between.
func (s *scanner) inAuthorization(i int) bool {
	const word = "authorization"
	for isLead(s.at(i - 1)) {
		i--
	}
	return s.hasWord(i-len(word), word)
}

// email is to be called with growing i.
func (s *scanner) email(i int) (end int, ok bool) {
	if i < s.tried || !isLocal(s.at(i)) {
		return 0, false
	}
	localEnd := s.run(i, isLocal)
	if s.at(localEnd) == '@' {
		if end, ok := s.domain(localEnd + 1); ok {
			return end, true
		}
	}
	s.tried = localEnd
	return 0, false
}

// domain returns where the longest domain at start ends whose last label starts with a letter and has two bytes.
func (s *scanner) domain(start int) (end int, ok bool) {
	for first := true; isAlnum(s.at(start)); first = false {
		labelEnd := s.label(start)
		if !first && isLetter(s.at(start)) && labelEnd-start >= 2 {
			end, ok = labelEnd, true
		}
		if s.at(labelEnd) != '.' {
			break
		}
		start = labelEnd + 1
	}
	return end, ok
}

// label returns where the label at start ends. Hyphens belong to it only in its middle.
func (s *scanner) label(start int) int {
	end := s.run(start, isAlnum)
	for {
		afterHyphens := s.run(end, isHyphen)
		if afterHyphens == end || !isAlnum(s.at(afterHyphens)) {
			return end
		}
		end = s.run(afterHyphens, isAlnum)
	}
}

func (s *scanner) ipv4(i int) (end int, ok bool) {
	before := s.at(i - 1)
	if isAlnum(before) || before == '.' && isDigit(s.at(i-2)) {
		return 0, false
	}
	end, ok = s.quad(i)
	return end, ok && !isAlnum(s.at(end)) && !s.hasFraction(end)
}

func (s *scanner) ipv6(i int) (end int, ok bool) {
	if !s.canStartIPv6(i) {
		return 0, false
	}
	groups := 0
	short := s.at(i) == ':' // Whether `::` was seen.
	p := i
	if short {
		p += 2
	}
	for !(short && groups == 7) {
		if short && groups <= 5 || !short && groups == 6 {
			if end, ok := s.quad(p); ok {
				p = end
				groups += 2
				break
			}
		}
		end, ok := s.group(p)
		if !ok {
			break
		}
		p = end
		groups++
		if groups == 8 || s.at(p) != ':' {
			break
		}
		if s.at(p+1) == ':' && !short {
			short = true
			p += 2
		} else if s.hasGroup(p + 1) {
			p++
		} else {
			break
		}
	}
	whole := groups == 8
	if short {
		whole = 1 <= groups && groups <= 7
	}
	goesOn := s.at(p) == ':' && (s.at(p+1) == ':' || s.hasGroup(p+1))
	return p, whole && !goesOn && !isAlnum(s.at(p)) && !s.hasFraction(p)
}

// canStartIPv6 says whether an IPv6 address may start at i, judged by what stands there and before it.
func (s *scanner) canStartIPv6(i int) bool {
	before := s.at(i - 1)
	if isAlnum(before) {
		return false
	}
	if s.at(i) == ':' {
		return s.at(i+1) == ':' && before != ':'
	}
	// In `source:fe80::1` a name precedes the colon, which is fine; a group would make this the middle of an address.
	return s.hasGroup(i) && !(before == ':' && s.hasGroupBefore(i-1))
}

// hasGroupBefore says whether another colon or a group stands before the one at colon.
func (s *scanner) hasGroupBefore(colon int) bool {
	if s.at(colon-1) == ':' {
		return true
	}
	length, hex := 0, true
	for length < 5 && isAlnum(s.at(colon-1-length)) {
		hex = hex && isHex(s.at(colon-1-length))
		length++
	}
	return 1 <= length && length <= 4 && hex
}

// group returns where the one to four hexadecimal digits at start end that nothing alphanumeric follows.
func (s *scanner) group(start int) (end int, ok bool) {
	end = start
	for end-start < 5 && isHex(s.at(end)) {
		end++
	}
	length := end - start
	return end, 1 <= length && length <= 4 && !isAlnum(s.at(end))
}

func (s *scanner) hasGroup(start int) bool {
	_, ok := s.group(start)
	return ok
}

// quad returns where the four octets with dots between them at start end.
func (s *scanner) quad(start int) (end int, ok bool) {
	end, ok = s.octet(start)
	for range 3 {
		if !ok || s.at(end) != '.' {
			return 0, false
		}
		end, ok = s.octet(end + 1)
	}
	return end, ok
}

// octet returns where the number at start ends that has at most three digits and is at most 255.
func (s *scanner) octet(start int) (end int, ok bool) {
	end = start
	value := 0
	for end-start < 4 && isDigit(s.at(end)) {
		value = value*10 + int(s.at(end)-'0')
		end++
	}
	length := end - start
	return end, 1 <= length && length <= 3 && value <= 255
}

// hasFraction says whether the text goes on with a dot and a digit, so that a number before it is not complete.
func (s *scanner) hasFraction(position int) bool {
	return s.at(position) == '.' && isDigit(s.at(position+1))
}

func (s *scanner) card(i int) (end int, ok bool) {
	const shortest, longest = 13, 19
	if !isDigit(s.at(i)) || isAlnum(s.at(i-1)) {
		return 0, false
	}
	// The Luhn check doubles every second digit from the right. Which ones that are is known only at the end, so both
	// sums are kept: with the first, third and so on doubled, and with the second, fourth and so on.
	var sums [2]int
	var separator byte // The one that this number uses, once it is known.
	p := i
	for count := 1; count <= longest; count++ {
		b := s.at(p)
		if !isDigit(b) {
			fits := (b == ' ' || b == '-') && (separator == 0 || b == separator)
			if !fits || !isDigit(s.at(p+1)) {
				break
			}
			separator = b
			p++
		}
		digit := int(s.at(p) - '0')
		p++
		doubled := digit * 2
		if doubled > 9 {
			doubled -= 9
		}
		sums[count%2] += digit
		sums[(count+1)%2] += doubled
		// The longest number that fits counts, so a later one takes the place of an earlier one.
		if count >= shortest && sums[count%2]%10 == 0 && !isAlnum(s.at(p)) {
			end, ok = p, true
		}
	}
	return end, ok
}
