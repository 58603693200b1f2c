// What matches at one position, one function for each kind of data. The specification, which they follow step by step,
// is in guests/README.md.

#ifndef MATCH_H
#define MATCH_H

#include "text.h"

// The part of the text to replace.
typedef struct {
  size_t start, end;
} span_t;

// Each says whether its kind matches at `i`, and if so, sets `found`.
bool match_token(text_t text, size_t i, span_t *found);
bool match_ipv6(text_t text, size_t i, span_t *found);
bool match_ipv4(text_t text, size_t i, span_t *found);
bool match_card(text_t text, size_t i, span_t *found);

// To be called with growing `i`. `tried`, 0 at first, remembers how far local parts were read in vain, so that none is
// read again from its middle.
bool match_email(text_t text, size_t i, size_t *tried, span_t *found);

#endif
