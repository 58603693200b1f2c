// Package export_sandbox_host_job is the component's side of the guest: it fetches a URL once, and answers from a
// key-value bucket after that.
//
// The specification is in guests/README.md. The generated code calls Run. The name of this package and the packages that
// are imported from wit_component, but for fetch, come from wit/.
package export_sandbox_host_job

import (
	"errors"
	"strings"

	"wit_component/fetch"
	job "wit_component/sandbox_host_job"
	log "wit_component/sandbox_host_log"
	config "wit_component/wasi_config_store"
	keyvalue "wit_component/wasi_keyvalue_store"

	wit "go.bytecodealliance.org/pkg/wit/types"
)

// Run does the work of one invocation.
func Run(input job.Input) wit.Result[job.Output, job.Failure] {
	url := strings.Trim(string(input.Body), " \t\r\n\f")
	body, how, err := get(url)
	switch {
	case errors.Is(err, fetch.ErrInvalidURL):
		return wit.Err[job.Output](job.MakeFailureInvalidInput(err.Error()))
	case err != nil:
		return wit.Err[job.Output](job.MakeFailureOther(err.Error()))
	}
	log.Log(log.Level_Info, "fetch-cache", how+" "+url)
	attributes := []wit.Tuple2[string, string]{{F0: "cache", F1: how}}
	return wit.Ok[job.Output, job.Failure](job.Output{Body: body, Attributes: attributes})
}

// get returns the body from the bucket, or else from the network and into the bucket; and whether it was a hit or a
// miss.
func get(text string) (body []byte, how string, err error) {
	url, ok := fetch.ParseURL(text)
	if !ok {
		return nil, "", fetch.ErrInvalidURL
	}
	bucket, err := openBucket()
	if err != nil {
		return nil, "", err
	}
	defer bucket.Drop()
	cached, err := values(bucket.Get(text))
	if err != nil {
		return nil, "", err
	}
	if cached.IsSome() {
		return cached.Some(), "hit", nil
	}
	if body, err = fetch.Get(url); err != nil {
		return nil, "", err
	}
	_, err = values(bucket.Set(text, body))
	return body, "miss", err
}

// openBucket opens the bucket that the configuration names.
func openBucket() (*keyvalue.Bucket, error) {
	name := config.Get("bucket")
	if name.IsErr() {
		if problem := name.Err(); problem.Tag() == config.Error_Io {
			return nil, errors.New("config: " + problem.Io())
		} else {
			return nil, errors.New("config: " + problem.Upstream())
		}
	}
	return values(keyvalue.Open(name.Ok().SomeOr("cache")))
}

// values turns a result of WIT into the two values of Go.
func values[T any](result wit.Result[T, keyvalue.Error]) (T, error) {
	if result.IsOk() {
		return result.Ok(), nil
	}
	var none T
	switch problem := result.Err(); problem.Tag() {
	case keyvalue.Error_NoSuchStore:
		return none, errors.New("key-value: no-such-store")
	case keyvalue.Error_AccessDenied:
		return none, errors.New("key-value: access-denied")
	default:
		return none, errors.New("key-value: " + problem.Other())
	}
}
