;; Calls itself to a given depth with frames of several hundred bytes: the engine's stack fills with few calls.
;;
;;   probe:wat/stack  descend(depth)  the depth, once it is back
(component
  (core module $probe
    ;; Parameters beyond the first few are on the stack, and all of them are needed again after the call.
    (func $descend (export "descend") (param $depth i32) (result i32)
      (call $deeper (local.get $depth)
        (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6) (i64.const 7) (i64.const 8)
        (i64.const 9) (i64.const 10) (i64.const 11) (i64.const 12) (i64.const 13) (i64.const 14) (i64.const 15)
        (i64.const 16) (i64.const 17) (i64.const 18) (i64.const 19) (i64.const 20) (i64.const 21) (i64.const 22)
        (i64.const 23) (i64.const 24)))
    (func $deeper (param $depth i32)
      (param i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
      (result i32)
      (if (result i32) (i32.eqz (local.get $depth))
        (then (i32.const 0))
        (else
          (call $deeper (i32.sub (local.get $depth) (i32.const 1))
            (local.get 24) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6)
            (local.get 7) (local.get 8) (local.get 9) (local.get 10) (local.get 11) (local.get 12) (local.get 13)
            (local.get 14) (local.get 15) (local.get 16) (local.get 17) (local.get 18) (local.get 19) (local.get 20)
            (local.get 21) (local.get 22) (local.get 23))
          (i32.const 1)
          (i32.add)))))
  (core instance $probe (instantiate $probe))
  (func $descend (param "depth" u32) (result u32) (canon lift (core func $probe "descend")))
  (instance $stack (export "descend" (func $descend)))
  (export "probe:wat/stack" (instance $stack)))
