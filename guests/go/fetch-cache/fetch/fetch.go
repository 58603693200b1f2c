// Package fetch makes requests to the outside.
package fetch

import (
	"errors"
	"fmt"

	handler "wit_component/wasi_http_outgoing_handler"
	http "wit_component/wasi_http_types"
	streams "wit_component/wasi_io_streams"

	wit "go.bytecodealliance.org/pkg/wit/types"
)

// chunk is how many bytes of an answer are read at once.
const chunk = 64 * 1024

// ErrInvalidURL says that the host doesn't take some part of a URL.
var ErrInvalidURL = errors.New("the input is not an http or https URL")

// errInternal is for what a host doesn't do.
var errInternal = errors.New("internal-error")

// Get makes a GET request and reads the whole answer. How large it may be is for the policy to say.
func Get(url URL) ([]byte, error) {
	future, err := send(url)
	if err != nil {
		return nil, err
	}
	// What is not dropped here the garbage collector drops, but the host counts what is open.
	defer future.Drop()
	response, err := wait(future)
	if err != nil {
		return nil, err
	}
	defer response.Drop()
	if status := response.Status(); status != 200 {
		return nil, fmt.Errorf("status %d", status)
	}
	body := response.Consume()
	if body.IsErr() {
		return nil, errInternal
	}
	defer body.Ok().Drop()
	stream := body.Ok().Stream()
	if stream.IsErr() {
		return nil, errInternal
	}
	// The stream is a part of the body, and goes before it does.
	defer stream.Ok().Drop()
	return readAll(stream.Ok())
}

func send(url URL) (*http.FutureIncomingResponse, error) {
	scheme := http.MakeSchemeHttp()
	if url.isTLS {
		scheme = http.MakeSchemeHttps()
	}
	request := http.MakeOutgoingRequest(http.MakeFields())
	// The handler takes the request, and then there is nothing left to drop.
	defer request.Drop()
	if request.SetScheme(wit.Some(scheme)).IsErr() ||
		request.SetAuthority(wit.Some(url.authority)).IsErr() ||
		request.SetPathWithQuery(wit.Some(url.path)).IsErr() {
		return nil, ErrInvalidURL
	}
	future := handler.Handle(request, wit.None[*http.RequestOptions]())
	if future.IsErr() {
		return nil, codeError(future.Err())
	}
	return future.Ok(), nil
}

// wait waits for the answer to a request that is on its way.
func wait(future *http.FutureIncomingResponse) (*http.IncomingResponse, error) {
	ready := future.Subscribe()
	defer ready.Drop()
	ready.Block()
	// Two results in one another: whether the answer was taken before, and what came of the request.
	taken := future.Get()
	if taken.IsNone() || taken.Some().IsErr() {
		return nil, errInternal
	}
	response := taken.Some().Ok()
	if response.IsErr() {
		return nil, codeError(response.Err())
	}
	return response.Ok(), nil
}

func readAll(stream *streams.InputStream) ([]byte, error) {
	var body []byte
	for {
		read := stream.BlockingRead(chunk)
		if read.IsOk() {
			body = append(body, read.Ok()...)
			continue
		}
		end := read.Err()
		if end.Tag() == streams.StreamError_Closed {
			return body, nil
		}
		cause := end.LastOperationFailed()
		defer cause.Drop()
		if code := http.HttpErrorCode(cause); code.IsSome() {
			return nil, codeError(code.Some())
		}
		return nil, errors.New(cause.ToDebugString())
	}
}
