//! Components that are small to write down and large to compile. Each is a program that would end at once.

use std::fmt::Write as _;

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bomb {
    /// Functions.
    Functions,
    /// Instructions in one function.
    Instructions,
    /// Local variables.
    Locals,
    /// Blocks within blocks.
    Nesting,
    /// Variables that change on either side of many branches, which have to be brought together after each.
    Joins,
    /// Types.
    Types,
    /// Global variables.
    Globals,
    /// Tables.
    Tables,
    /// Data segments.
    Data,
    /// Exports.
    Exports,
    /// Imports.
    Imports,
}

impl Bomb {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::Functions,
        Self::Instructions,
        Self::Locals,
        Self::Nesting,
        Self::Joins,
        Self::Types,
        Self::Globals,
        Self::Tables,
        Self::Data,
        Self::Exports,
        Self::Imports,
    ];

    /// As text. It is the host's compiling process that reads it.
    pub fn text(self) -> String {
        match self {
            Self::Functions => module(&"(func (param i32) (result i32) local.get 0)\n".repeat(200_000)),
            Self::Instructions => {
                let more = "local.get 0 local.get 1 i32.mul local.set 1\n".repeat(300_000);
                module(&format!("(func (param i32) (local i32) {more})"))
            }
            Self::Locals => {
                let locals = " i64".repeat(50_000);
                module(&format!("(func (local{locals}))\n").repeat(60))
            }
            Self::Nesting => {
                let (open, close) = ("block ".repeat(100_000), "end ".repeat(100_000));
                module(&format!("(func (param i32) {open} local.get 0 br_if 0 {close})"))
            }
            Self::Joins => module(&joins(2_000, 6_000)),
            Self::Types => module(&"(type (func (param i32 i64 f32)))\n".repeat(900_000)),
            Self::Globals => module(&"(global i64 (i64.const 0))\n".repeat(900_000)),
            Self::Tables => module(&"(table 10000000 funcref)\n".repeat(90)),
            Self::Data => module(&"(data (i32.const 0) \"x\")\n".repeat(99_000)),
            Self::Exports => numbered("(module (func $f) ", 300_000, |n| format!("(export \"e{n}\" (func $f))\n")),
            Self::Imports => numbered("(component ", 100_000, |n| format!("(import \"a:b/c{n}\" (instance))\n")),
        }
    }
}

fn module(parts: &str) -> String {
    format!("(module (memory (export \"memory\") 1) {parts} (func (export \"_start\")))")
}

fn numbered(begin: &str, count: usize, part: impl Fn(usize) -> String) -> String {
    let mut text = begin.to_owned();
    (0..count).for_each(|n| text.push_str(&part(n)));
    text.push(')');
    text
}

fn joins(variables: usize, branches: usize) -> String {
    let mut text = format!("(func (param i32) (local{}) ", " i64".repeat(variables));
    for n in 0..branches {
        let (one, other) = (1 + n % variables, 1 + (n + 7) % variables);
        // Writing to a string can't fail.
        let _ = write!(
            text,
            "local.get 0 if local.get {one} i64.const 1 i64.add local.set {one} \
             else local.get {other} i64.const 3 i64.mul local.set {other} end \
             loop local.get 0 br_if 0 end "
        );
    }
    text + ")"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bomb_is_well_below_the_size_of_a_component() {
        for bomb in Bomb::ALL {
            let bytes = bomb.text().len();
            assert!(bytes > 1000 && bytes < 40 << 20, "{bomb:?} has {bytes} bytes");
        }
    }
}
