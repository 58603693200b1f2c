;; Fills a directory with a quota: a file, a second one, and a third one when the first has no name any more and is still open.
;; It says whether more than the quota was taken from it.
(module
{preview1}
  (global $taken (mut i32) (i32.const 0))
  (func $fill (param $file i32)
    (local $left i32)
    (if (i32.eq (local.get $file) (i32.const -1)) (then (return)))
    (local.set $left (i32.const 32))
    (block $done
      (loop $more
        (br_if $done (call $fd-write (local.get $file) (i32.const 64) (i32.const 1) (i32.const 8)))
        (global.set $taken (i32.add (global.get $taken) (i32.load (i32.const 8))))
        (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))
  (func (export "_start")
    (call $find)
    (call $fill (call $open (i32.const 97)))
    (call $fill (call $open (i32.const 98)))
    (i32.store8 (i32.const 128) (i32.const 97))
    (drop (call $unlink (global.get $directory) (i32.const 128) (i32.const 1)))
    (call $fill (call $open (i32.const 99)))
    (if (i32.gt_u (global.get $taken) (i32.const 16384)) (then (call $say-yes)))))
