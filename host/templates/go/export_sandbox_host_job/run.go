// Package export_sandbox_host_job is the job: it counts the lines and words of its input, and greets whom the
// configuration names.
//
// The generated code calls Run. The name of this package and the packages that are imported from wit_component come
// from wit/.
package export_sandbox_host_job

import (
	"bytes"
	"fmt"

	config "wit_component/sandbox_host_config"
	job "wit_component/sandbox_host_job"
	log "wit_component/sandbox_host_log"

	wit "go.bytecodealliance.org/pkg/wit/types"
)

// Run does the work of one invocation.
func Run(input job.Input) wit.Result[job.Output, job.Failure] {
	name := get("name", "world")
	if name == "" {
		return wit.Err[job.Output](job.MakeFailureInvalidConfig("`name` is empty"))
	}
	lines, words := count(input.Body)
	log.Log(log.Level_Info, "my-job", fmt.Sprintf("bytes=%d", len(input.Body)))
	return wit.Ok[job.Output, job.Failure](job.Output{
		Body:        fmt.Appendf(nil, "Hello, %s! lines: %d, words: %d\n", name, lines, words),
		ContentType: wit.Some("text/plain; charset=utf-8"),
	})
}

// get returns the value of a key of the configuration, or another where the operator did not set it.
func get(key, otherwise string) string {
	if value := config.Get(key); value.IsSome() {
		return value.Some()
	}
	return otherwise
}

// count returns the lines, of which the last one need not end with a line feed, and the words, which have blanks
// between them.
func count(text []byte) (lines, words int) {
	lines = bytes.Count(text, []byte("\n"))
	if len(text) > 0 && text[len(text)-1] != '\n' {
		lines++
	}
	isBlank := func(r rune) bool { return r == ' ' || '\t' <= r && r <= '\r' }
	return lines, len(bytes.FieldsFunc(text, isBlank))
}
