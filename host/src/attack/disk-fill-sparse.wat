;; Gives files in a directory with a quota a length behind which there is nothing yet: by setting it, and by writing far
;; beyond the end. It says whether it could.
(module
{preview1}
  (func (export "_start")
    (local $got i32) (local $file i32)
    (call $find)
    (local.set $file (call $open (i32.const 97)))
    (local.set $got (i32.eqz (call $set-size (local.get $file) (i64.const 1073741824))))
    (local.set $file (call $open (i32.const 98)))
    (local.set $got (i32.or (local.get $got) (i32.eqz
      (call $fd-pwrite (local.get $file) (i32.const 64) (i32.const 1) (i64.const 1073741824) (i32.const 8)))))
    ;; Just past the last byte, and so that the sum would be no number of 64 bits.
    (local.set $file (call $open (i32.const 99)))
    (local.set $got (i32.or (local.get $got) (i32.eqz (call $set-size (local.get $file) (i64.const 16385)))))
    (local.set $got (i32.or (local.get $got) (i32.eqz
      (call $fd-pwrite (local.get $file) (i32.const 64) (i32.const 1) (i64.const -512) (i32.const 8)))))
    (if (local.get $got) (then (call $say-yes)))))
