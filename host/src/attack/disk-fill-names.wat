;; Fills a directory with a quota with what is empty: files, directories, hard links, and symbolic links whose bytes are in
;; their targets. It says whether more than the quota was made.
(module
{preview1}
  (func (export "_start")
    (local $kind i32) (local $n i32) (local $made i32) (local $failed i32) (local $file i32)
    (call $find)
    (memory.fill (i32.const 8192) (i32.const 120) (i32.const 2000))
    (loop $kinds
      (local.set $n (i32.const 0))
      (loop $names
        (i32.store8 (i32.const 256) (i32.add (i32.const 97) (local.get $kind)))
        (i32.store8 (i32.const 257) (i32.add (i32.const 48) (local.get $n)))
        (block $tried
          (if (i32.eqz (local.get $kind)) (then
            (local.set $failed (call $path-open (global.get $directory) (i32.const 0) (i32.const 256) (i32.const 2)
              (i32.const 1) (i64.const 66) (i64.const 66) (i32.const 0) (i32.const 8)))
            (if (i32.eqz (local.get $failed)) (then (drop (call $close (i32.load (i32.const 8))))))
            (br $tried)))
          (if (i32.eq (local.get $kind) (i32.const 1)) (then
            (local.set $failed (call $create-directory (global.get $directory) (i32.const 256) (i32.const 2)))
            (br $tried)))
          (if (i32.eq (local.get $kind) (i32.const 2)) (then
            ;; A second name for the first file, `a0`.
            (i32.store16 (i32.const 258) (i32.const 0x3061))
            (local.set $failed (call $link (global.get $directory) (i32.const 0) (i32.const 258) (i32.const 2)
              (global.get $directory) (i32.const 256) (i32.const 2)))
            (br $tried)))
          (local.set $failed (call $symlink (i32.const 8192) (i32.const 2000) (global.get $directory) (i32.const 256)
            (i32.const 2))))
        (if (i32.eqz (local.get $failed)) (then (local.set $made (i32.add (local.get $made) (i32.const 1)))))
        ;; The kinds get a few of the names each, so that every one is refused at the end.
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $names (i32.lt_u (local.get $n) (select (i32.const 32) (i32.const 4) (i32.eq (local.get $kind) (i32.const 3))))))
      (local.set $kind (i32.add (local.get $kind) (i32.const 1)))
      (br_if $kinds (i32.lt_u (local.get $kind) (i32.const 4))))
    (if (i32.gt_u (local.get $made) (i32.const 16)) (then (call $say-yes)))))
