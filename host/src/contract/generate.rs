//! Values made from types: every edge in turn, and values at random, the same ones for the same seed.
//!
//! Even rounds go through the dictionary of edges and through every case and flag, so that each is reached after as
//! many rounds as there are; odd rounds mix. A type that is too large to have a value of reasonable size has none.
//!
//! Threat model: the types are the component's, which may share parts so that a small type has no small value. What is
//! made is counted, and nesting is bounded.

mod edges;

use wasm_wave::wasm::{WasmType, WasmTypeKind};

use self::edges::{CHARS, F32S, F64S, INTEGERS, TEXTS};
use super::sample::Sample;

/// Parts of the values of one call.
const MAX_PARTS: usize = 200_000;

/// Levels of a value, under what the reader of texts takes.
const MAX_DEPTH: usize = 60;

/// Items of a long list, and characters of a long text: more than 16 bits count.
const LONG: usize = 65_537;

/// Parts of the types of one item up to which a list of them gets long.
const SMALL_ITEM: usize = 2;

/// The inputs of one call: one sample for each parameter. None where the types have no value of reasonable size.
pub(crate) fn inputs<T: WasmType>(types: &[T], seed: u64, round: u64) -> Option<Vec<Sample>> {
    let mut random = Random(seed ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    random.next();
    let turn = round.is_multiple_of(2).then_some(round / 2);
    let mut maker = Maker { random, left: MAX_PARTS };
    types.iter().map(|ty| maker.make(ty, turn, 0)).collect()
}

/// The least value of a type: zeros, empty, none, the first case.
pub(crate) fn smallest<T: WasmType>(ty: &T) -> Option<Sample> {
    least(ty, &mut { MAX_PARTS }, 0)
}

/// The range of an integer type.
pub(super) fn range(kind: WasmTypeKind) -> Option<(i128, i128)> {
    Some(match kind {
        WasmTypeKind::S8 => (i8::MIN.into(), i8::MAX.into()),
        WasmTypeKind::S16 => (i16::MIN.into(), i16::MAX.into()),
        WasmTypeKind::S32 => (i32::MIN.into(), i32::MAX.into()),
        WasmTypeKind::S64 => (i64::MIN.into(), i64::MAX.into()),
        WasmTypeKind::U8 => (0, u8::MAX.into()),
        WasmTypeKind::U16 => (0, u16::MAX.into()),
        WasmTypeKind::U32 => (0, u32::MAX.into()),
        WasmTypeKind::U64 => (0, u64::MAX.into()),
        _ => return None,
    })
}

/// The cases of a type that has some, with what they hold. An option's and a result's are known by name.
pub(super) fn cases<T: WasmType>(ty: &T) -> Vec<(Name, Option<T>)> {
    match ty.kind() {
        WasmTypeKind::Enum => ty.enum_cases().map(|name| (Name::Own(name.into_owned()), None)).collect(),
        WasmTypeKind::Variant => {
            ty.variant_cases().map(|(name, payload)| (Name::Own(name.into_owned()), payload)).collect()
        }
        WasmTypeKind::Option => vec![(Name::Known("none"), None), (Name::Known("some"), ty.option_some_type())],
        WasmTypeKind::Result => {
            let (ok, err) = ty.result_types().unwrap_or((None, None));
            vec![(Name::Known("ok"), ok), (Name::Known("err"), err)]
        }
        _ => Vec::new(),
    }
}

/// The name of a case.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Name {
    Own(String),
    Known(&'static str),
}

impl Name {
    pub(super) fn holding(self, payload: Option<Sample>) -> Sample {
        match self {
            Self::Own(name) => Sample::Case(name, payload.map(Box::new)),
            Self::Known(name) => Sample::Known(name, payload.map(Box::new)),
        }
    }
}

struct Maker {
    random: Random,
    left: usize,
}

impl Maker {
    /// A value. With a turn it is that turn's edge; without, a random one.
    fn make<T: WasmType>(&mut self, ty: &T, turn: Option<u64>, depth: usize) -> Option<Sample> {
        use WasmTypeKind as Ty;
        self.left = self.left.checked_sub(1)?;
        if depth > MAX_DEPTH {
            return None;
        }
        let kind = ty.kind();
        if let Some((least, most)) = range(kind) {
            return Some(Sample::Integer(self.integer(least, most, turn)));
        }
        Some(match kind {
            Ty::Bool => Sample::Bool(self.choose(2, turn).0 == 1),
            Ty::F32 if turn.is_some() || self.random.half() => Sample::F32(self.pick(F32S, turn)?),
            Ty::F64 if turn.is_some() || self.random.half() => Sample::F64(self.pick(F64S, turn)?),
            // Not a number has many patterns of bits and one text.
            Ty::F32 => Sample::F32(f32::from_bits(self.random.next() as u32)),
            Ty::F64 => Sample::F64(f64::from_bits(self.random.next())),
            Ty::Char => Sample::Char(self.char(turn)?),
            Ty::String => Sample::Text(self.text(turn)?),
            Ty::List => {
                let item = ty.list_element_type()?;
                Sample::List(self.list(&item, turn, depth)?)
            }
            Ty::Tuple => {
                let types: Vec<T> = ty.tuple_element_types().collect();
                Sample::Tuple(types.iter().map(|ty| self.make(ty, turn, depth + 1)).collect::<Option<_>>()?)
            }
            Ty::Record => {
                let types: Vec<_> = ty.record_fields().map(|(name, ty)| (name.into_owned(), ty)).collect();
                let mut field = |(name, ty): (String, T)| Some((name, self.make(&ty, turn, depth + 1)?));
                Sample::Record(types.into_iter().map(&mut field).collect::<Option<_>>()?)
            }
            Ty::Flags => {
                let names: Vec<String> = ty.flags_names().map(std::borrow::Cow::into_owned).collect();
                let (at, _) = self.choose(names.len() + 2, turn);
                let set = |n: usize| match turn {
                    // None, all, and each alone.
                    Some(_) => at == 1 || at == n + 2,
                    None => self.random.half(),
                };
                let mut n = 0..names.len();
                let mut set = set;
                Sample::Flags(names.into_iter().filter(|_| n.next().is_some_and(&mut set)).collect())
            }
            Ty::Enum | Ty::Variant | Ty::Option | Ty::Result => {
                let mut cases = cases(ty);
                let (at, turn) = self.choose(cases.len(), turn);
                if at >= cases.len() {
                    return None;
                }
                let (name, payload) = cases.swap_remove(at);
                let payload = match payload {
                    Some(ty) => Some(self.make(&ty, turn, depth + 1)?),
                    None => None,
                };
                name.holding(payload)
            }
            _ => return None,
        })
    }

    /// Which of several it is this time, and the turn of what is inside: the turns are the digits of a number, so that
    /// every combination of nested choices comes.
    fn choose(&mut self, several: usize, turn: Option<u64>) -> (usize, Option<u64>) {
        let several = several.max(1);
        match turn {
            Some(turn) => ((turn % several as u64) as usize, Some(turn / several as u64)),
            None => (self.random.below(several), None),
        }
    }

    fn pick<V: Copy>(&mut self, values: &[V], turn: Option<u64>) -> Option<V> {
        let (at, _) = self.choose(values.len(), turn);
        values.get(at).copied()
    }

    fn integer(&mut self, least: i128, most: i128, turn: Option<u64>) -> i128 {
        let fits = |value: &&i128| (least..=most).contains(*value);
        if turn.is_some() || self.random.half() {
            let (at, _) = self.choose(INTEGERS.iter().filter(fits).count(), turn);
            return INTEGERS.iter().filter(fits).nth(at).copied().unwrap_or(0);
        }
        // Of any length, not only of the longest.
        let bits = i128::from(self.random.next() >> self.random.below(64));
        let value = if least < 0 && self.random.half() { -bits } else { bits };
        if (least..=most).contains(&value) { value } else { least + bits % (most - least + 1) }
    }

    fn char(&mut self, turn: Option<u64>) -> Option<char> {
        if turn.is_some() || self.random.half() {
            return self.pick(CHARS, turn);
        }
        Some(char::from_u32(self.random.below(0x11_0000) as u32).unwrap_or('\u{fffd}'))
    }

    fn text(&mut self, turn: Option<u64>) -> Option<String> {
        if turn.is_some() {
            let (at, _) = self.choose(TEXTS.len() + 1, turn);
            return Some(TEXTS.get(at).map_or_else(|| "x".repeat(LONG), |text| (*text).to_owned()));
        }
        (0..self.random.below(12)).map(|_| self.char(None)).collect()
    }

    fn list<T: WasmType>(&mut self, item: &T, turn: Option<u64>, depth: usize) -> Option<Vec<Sample>> {
        let (which, turn) = self.choose(5, turn);
        let length = match which {
            0 => 0,
            1 => 1,
            2 => 2,
            3 => 2 + self.random.below(8),
            // So long only where the items are small, and only in turn.
            _ if turn.is_some() && self.left > 2 * LONG && parts(item, &mut { SMALL_ITEM + 1 }) <= SMALL_ITEM => LONG,
            _ => 20,
        };
        let mut items = Vec::new();
        for n in 0..length {
            // What is left is shared with what comes after.
            if self.left < MAX_PARTS / 4 && length != LONG {
                break;
            }
            items.push(self.make(item, turn.map(|turn| turn.wrapping_add(n as u64)), depth + 1)?);
        }
        Some(items)
    }
}

/// Parts of a type, up to what is left.
fn parts<T: WasmType>(ty: &T, left: &mut usize) -> usize {
    if *left == 0 {
        return usize::MAX / 2;
    }
    *left -= 1;
    let inner: Vec<T> = match ty.kind() {
        WasmTypeKind::String => return SMALL_ITEM + 1,
        WasmTypeKind::List => ty.list_element_type().into_iter().collect(),
        WasmTypeKind::Tuple => ty.tuple_element_types().collect(),
        WasmTypeKind::Record => ty.record_fields().map(|(_, ty)| ty).collect(),
        _ => cases(ty).into_iter().filter_map(|(_, ty)| ty).collect(),
    };
    inner.iter().fold(1, |sum: usize, ty| sum.saturating_add(parts(ty, left)))
}

fn least<T: WasmType>(ty: &T, left: &mut usize, depth: usize) -> Option<Sample> {
    use WasmTypeKind as Ty;
    *left = left.checked_sub(1)?;
    if depth > MAX_DEPTH {
        return None;
    }
    let kind = ty.kind();
    if range(kind).is_some() {
        return Some(Sample::Integer(0));
    }
    Some(match kind {
        Ty::Bool => Sample::Bool(false),
        Ty::F32 => Sample::F32(0.0),
        Ty::F64 => Sample::F64(0.0),
        Ty::Char => Sample::Char('a'),
        Ty::String => Sample::Text(String::new()),
        Ty::List => Sample::List(Vec::new()),
        Ty::Flags => Sample::Flags(Vec::new()),
        Ty::Tuple => {
            Sample::Tuple(ty.tuple_element_types().map(|ty| least(&ty, left, depth + 1)).collect::<Option<_>>()?)
        }
        Ty::Record => {
            let field =
                |(name, ty): (std::borrow::Cow<'_, str>, T)| Some((name.into_owned(), least(&ty, left, depth + 1)?));
            Sample::Record(ty.record_fields().map(field).collect::<Option<_>>()?)
        }
        Ty::Enum | Ty::Variant | Ty::Option | Ty::Result => {
            let (name, payload) = cases(ty).into_iter().next()?;
            match payload {
                Some(ty) => name.holding(Some(least(&ty, left, depth + 1)?)),
                None => name.holding(None),
            }
        }
        _ => return None,
    })
}

/// Numbers that follow from a seed (SplitMix64), the same on every machine and in every version.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn half(&mut self) -> bool {
        self.next().is_multiple_of(2)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use wasm_wave::value::{Type, Value};

    use super::*;
    use crate::contract::pattern::Node;

    /// Types of every kind, some levels deep.
    pub(in crate::contract) fn types() -> impl Strategy<Value = Type> {
        let simple = [
            Type::BOOL,
            Type::S8,
            Type::U16,
            Type::S32,
            Type::U32,
            Type::S64,
            Type::U64,
            Type::F32,
            Type::F64,
            Type::CHAR,
            Type::STRING,
        ];
        let leaf = prop_oneof![
            proptest::sample::select(simple.to_vec()),
            Just(Type::enum_ty(["none", "b", "c"]).unwrap()),
            Just(Type::flags(["a", "b", "c"]).unwrap()),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(Type::list),
                inner.clone().prop_map(Type::option),
                (proptest::option::of(inner.clone()), proptest::option::of(inner.clone()))
                    .prop_map(|(ok, err)| Type::result(ok, err)),
                proptest::collection::vec(inner.clone(), 1..4).prop_map(|types| Type::tuple(types).unwrap()),
                proptest::collection::vec(inner.clone(), 1..4).prop_map(|types| {
                    Type::record(types.into_iter().enumerate().map(|(n, ty)| (format!("f{n}"), ty))).unwrap()
                }),
                proptest::collection::vec(proptest::option::of(inner), 1..4).prop_map(|types| {
                    Type::variant(types.into_iter().enumerate().map(|(n, ty)| (format!("c{n}"), ty))).unwrap()
                }),
            ]
        })
    }

    /// The value that a sample's text is; and its text, written again by the tools that everybody uses, is that value.
    pub(in crate::contract) fn value(ty: &Type, sample: &Sample) -> Value {
        let text = sample.to_string();
        let node = Node::parse(&text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
        let value: Value = node.value(ty).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
        assert!(node.differences(&value).is_empty(), "{text}: {:?}", node.differences(&value));
        let again = wasm_wave::to_string(&value).unwrap();
        assert!(Node::parse(&again).unwrap().differences(&value).is_empty(), "{text} is {again}");
        value
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_generated_is_of_the_type_and_reads_back(ty in types(), seed: u64, round in 0_u64..2000) {
            if let Some(samples) = inputs(std::slice::from_ref(&ty), seed, round) {
                value(&ty, &samples[0]);
            }
            value(&ty, &smallest(&ty).unwrap());
        }

        #[test]
        fn one_seed_gives_one_sequence(ty in types(), seed: u64, round in 0_u64..100) {
            let text = |seed| inputs(std::slice::from_ref(&ty), seed, round).map(|all| all[0].to_string());
            prop_assert_eq!(text(seed), text(seed));
        }
    }

    /// All that comes for a type in so many rounds.
    fn all(ty: &Type, rounds: u64) -> Vec<String> {
        (0..rounds).map(|round| inputs(std::slice::from_ref(ty), 1, round).unwrap()[0].to_string()).collect()
    }

    #[test]
    fn every_edge_comes_in_its_turn() {
        for (ty, edges) in [
            (Type::S64, vec!["9007199254740991", "9007199254740993", "-9223372036854775808", "9223372036854775807"]),
            (Type::U8, vec!["0", "255", "128"]),
            (Type::F64, vec!["nan", "-0", "5e-324", "inf", "-inf"]),
            (Type::CHAR, vec![r"'\u{0}'", r"'\u{feff}'", "'\u{d7ff}'", "'\u{e000}'"]),
            (Type::STRING, vec!["\"\"", r#""\u{0}""#, r#""\u{feff}""#]),
            (Type::option(Type::option(Type::BOOL)), vec!["none", "some(none)", "some(some(true))"]),
            (Type::enum_ty(["x", "y", "z"]).unwrap(), vec!["x", "y", "z"]),
            (Type::flags(["x", "y", "z"]).unwrap(), vec!["{}", "{x, y, z}", "{x}", "{y}", "{z}"]),
            (Type::result(Some(Type::option(Type::BOOL)), None), vec!["ok(none)", "ok(some(true))", "err"]),
        ] {
            let found = all(&ty, 80);
            for edge in edges {
                assert!(found.iter().any(|text| text == edge), "{edge} in {found:?}");
            }
        }
        let lists = all(&Type::list(Type::U8), 20);
        assert!(lists.iter().any(|text| text == "[]"));
        assert!(lists.iter().any(|text| text.matches(',').count() == LONG - 1));
        assert!(all(&Type::STRING, 80).iter().any(|text| text.len() == LONG + 2));
    }

    #[test]
    fn another_seed_gives_others_and_the_same_for_ever() {
        let text = |seed| inputs(&[Type::S64, Type::U32], seed, 1).unwrap().iter().map(ToString::to_string).collect();
        let (one, two): (Vec<String>, Vec<String>) = (text(1), text(2));
        assert_ne!(one, two);
        assert_eq!(one, ["111734", "2319050758"]);
    }

    /// Each level has the one below twice: a type of 40 parts whose least value has more than can be made.
    #[test]
    fn a_type_without_a_small_value_has_none() {
        let mut ty = Type::U8;
        for _ in 0..40 {
            ty = Type::tuple([ty.clone(), ty]).unwrap();
        }
        assert!(inputs(std::slice::from_ref(&ty), 1, 0).is_none() && smallest(&ty).is_none());
        assert_eq!(smallest(&Type::list(ty)).unwrap().to_string(), "[]");
    }
}
