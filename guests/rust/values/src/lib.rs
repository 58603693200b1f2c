//! Functions over every kind of WIT value: most of them give back what they got.
//!
//! For hosts that find a function by its name at run time and pass values that were written as text. The contract is
//! in `wit/values.wit`. Deliberately absent: imports of any kind.

#![cfg(target_arch = "wasm32")]
#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::allow_attributes_without_reason,
    clippy::needless_pass_by_value,
    reason = "the generated bindings are in this module, and they pass all parameters by value"
)]

use std::cell::Cell;

wit_bindgen::generate!({ path: "wit", world: "values" });

use exports::demo::values::everything::{
    self, Colour, Counter, CounterBorrow, GuestCounter, Permissions, Person, Point, Shape,
};
use exports::demo::values::other;

struct Values;

/// What is behind the resource `counter`.
struct Count(Cell<u32>);

impl GuestCounter for Count {
    fn new(start: u32) -> Self {
        Count(Cell::new(start))
    }

    fn add(&self, by: u32) -> u32 {
        self.0.set(self.0.get().saturating_add(by));
        self.0.get()
    }

    fn zero() -> Counter {
        Counter::new(Count::new(0))
    }
}

/// Writes a function that gives back its parameter.
macro_rules! echo {
    ($($name:ident: $type:ty),* $(,)?) => {
        $(fn $name(value: $type) -> $type {
            value
        })*
    };
}

impl everything::Guest for Values {
    type Counter = Count;

    echo! {
        echo_bool: bool, echo_u8: u8, echo_s8: i8, echo_u16: u16, echo_s16: i16, echo_u32: u32, echo_s32: i32,
        echo_u64: u64, echo_s64: i64, echo_f32: f32, echo_f64: f64, echo_char: char, echo_string: String,
        echo_bytes: Vec<u8>, echo_lists: Vec<Vec<String>>, echo_tuple: (u8, String, bool),
        echo_option: Option<Option<u32>>, echo_result: Result<u32, String>, echo_empty_result: Result<(), ()>,
        echo_colour: Colour, echo_permissions: Permissions, echo_point: Point, echo_person: Person,
        echo_shape: Shape,
    }

    fn nothing() {}

    fn answer() -> u32 {
        42
    }

    fn join(count: u8, separator: char, words: Vec<String>) -> String {
        format!("{count}{separator}{}", words.join(&separator.to_string()))
    }

    fn divide(dividend: i32, divisor: i32) -> Result<i32, String> {
        if divisor == 0 {
            return Err(String::from("division by zero"));
        }
        dividend.checked_div(divisor).ok_or_else(|| String::from("the quotient does not fit"))
    }

    fn fail(text: String) -> Result<(), String> {
        Err(text)
    }

    fn trap() {
        core::arch::wasm32::unreachable()
    }

    fn make_counter(start: u32) -> Counter {
        Counter::new(Count::new(start))
    }

    fn read_counter(counter: CounterBorrow<'_>) -> u32 {
        counter.get::<Count>().0.get()
    }

    fn greet(name: String) -> String {
        format!("hello, {name}")
    }
}

impl other::Guest for Values {
    fn greet(name: String) -> String {
        format!("good evening, {name}")
    }

    fn only_here() -> String {
        String::from("only here")
    }
}

export!(Values);
