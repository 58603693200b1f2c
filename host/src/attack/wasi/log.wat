  (import "sandbox:host/log@0.1.0" (instance $log
    (type $level-type (enum "trace" "debug" "info" "warn" "error" "critical"))
    (export "level" (type $level (eq $level-type)))
    (export "log" (func (param "level" $level) (param "context" string) (param "message" string)))))
