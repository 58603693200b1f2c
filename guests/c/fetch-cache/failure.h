// Why there is no output.

#ifndef FAILURE_H
#define FAILURE_H

#include "sandbox.h"

typedef exports_sandbox_host_job_failure_t failure_t;

// Both return false, so that a function can return what they return.
bool fail_with_invalid_url(failure_t *failure);
[[gnu::format(printf, 2, 3)]] bool fail(failure_t *failure, const char *format, ...);

#endif
