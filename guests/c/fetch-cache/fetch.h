// A request to the outside.

#ifndef FETCH_H
#define FETCH_H

#include "failure.h"
#include "url.h"

// Makes a GET request and reads the whole answer. Returns whether there is a body, which the caller is to free.
bool fetch(const url_t *url, sandbox_list_u8_t *body, failure_t *failure);

#endif
