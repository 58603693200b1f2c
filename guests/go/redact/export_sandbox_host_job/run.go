// Package export_sandbox_host_job is the component's side of the guest: it takes the configuration from the host, has
// the input redacted, and sends the counts to the host's log.
//
// The generated code calls Run. The name of this package and the packages that are imported from wit_component, but for
// redact, come from wit/.
package export_sandbox_host_job

import (
	"wit_component/redact"
	config "wit_component/sandbox_host_config"
	job "wit_component/sandbox_host_job"
	log "wit_component/sandbox_host_log"

	wit "go.bytecodealliance.org/pkg/wit/types"
)

// Run does the work of one invocation.
func Run(input job.Input) wit.Result[job.Output, job.Failure] {
	masked, err := redact.ParseMask(get("mask", redact.AllKinds))
	if err != nil {
		return wit.Err[job.Output](job.MakeFailureInvalidConfig(err.Error()))
	}
	body, counts := redact.New(masked, get("replacement", "[{kind}]")).Redact(input.Body)
	log.Log(log.Level_Info, "redact", counts.String())
	return wit.Ok[job.Output, job.Failure](job.Output{Body: body, ContentType: input.ContentType})
}

// get returns the value of a key, or another where the operator did not set it.
func get(key, otherwise string) string {
	if value := config.Get(key); value.IsSome() {
		return value.Some()
	}
	return otherwise
}
