//! Smaller values: for each value, ones of the same type that a person would rather look at.
//!
//! They come lazily, since a value may have many parts, and each is simpler than where it came from, so that going on
//! from whichever still fails comes to an end.

use wasm_wave::wasm::WasmType;

use super::generate::{cases, smallest};
use super::sample::Sample;

/// Items of a list that are made smaller one by one; longer lists get shorter first.
const ONE_BY_ONE: usize = 32;

type Smaller<'a> = Box<dyn Iterator<Item = Sample> + Send + 'a>;

/// Arguments of a call with one of them smaller.
pub(crate) fn smaller_arguments<'a, T: WasmType + Send + Sync + 'a>(
    types: &'a [T],
    samples: &'a [Sample],
) -> impl Iterator<Item = Vec<Sample>> + 'a {
    samples
        .iter()
        .zip(types)
        .enumerate()
        .flat_map(move |(n, (sample, ty))| smaller(ty, sample).map(move |smaller| replaced(samples, n, smaller)))
}

fn replaced(samples: &[Sample], at: usize, new: Sample) -> Vec<Sample> {
    let mut samples = samples.to_vec();
    if let Some(place) = samples.get_mut(at) {
        *place = new;
    }
    samples
}

/// Smaller values of a type than this one.
fn smaller<'a, T: WasmType + Send + Sync + 'a>(ty: &T, sample: &'a Sample) -> Smaller<'a> {
    match sample {
        Sample::Bool(value) => Box::new(value.then_some(Sample::Bool(false)).into_iter()),
        Sample::Integer(value) => Box::new(integers(*value).map(Sample::Integer)),
        Sample::F32(value) => Box::new(floats(f64::from(*value)).map(|value| Sample::F32(value as f32))),
        Sample::F64(value) => Box::new(floats(*value).map(Sample::F64)),
        Sample::Char(value) => Box::new(chars(*value).map(Sample::Char)),
        Sample::Text(text) => Box::new(texts(text)),
        Sample::Flags(names) => Box::new((0..names.len()).map(|without| Sample::Flags(except(names, without)))),
        Sample::List(items) => {
            let Some(item) = ty.list_element_type() else { return Box::new(std::iter::empty()) };
            let alike = smallest(&item).filter(|least| items.iter().any(|item| item != least));
            let alike = alike.map(|least| Sample::List(vec![least; items.len()]));
            let one_by_one = if items.len() <= ONE_BY_ONE { items.as_slice() } else { &[] };
            let inner = one_by_one.iter().enumerate().flat_map(move |(n, sample)| {
                smaller(&item, sample).map(move |smaller| Sample::List(replaced(items, n, smaller)))
            });
            Box::new(shorter(items.as_slice()).map(Sample::List).chain(alike).chain(inner))
        }
        Sample::Tuple(items) => {
            let types: Vec<T> = ty.tuple_element_types().collect();
            Box::new(items.iter().zip(types).enumerate().flat_map(move |(n, (sample, ty))| {
                smaller(&ty, sample).map(move |smaller| Sample::Tuple(replaced(items, n, smaller)))
            }))
        }
        Sample::Record(fields) => {
            let types: Vec<T> = ty.record_fields().map(|(_, ty)| ty).collect();
            Box::new(fields.iter().zip(types).enumerate().flat_map(move |(n, ((name, sample), ty))| {
                smaller(&ty, sample).map(move |smaller| {
                    let mut fields = fields.clone();
                    if let Some(field) = fields.get_mut(n) {
                        *field = (name.clone(), smaller);
                    }
                    Sample::Record(fields)
                })
            }))
        }
        Sample::Case(name, payload) => variants(ty, name, payload.as_deref()),
        Sample::Known(name, payload) => variants(ty, name, payload.as_deref()),
    }
}

/// Cases that come earlier, with the least that they hold; and the same case holding less.
fn variants<'a, T: WasmType + Send + Sync + 'a>(ty: &T, name: &'a str, payload: Option<&'a Sample>) -> Smaller<'a> {
    let is_name = |sample: &Sample| match sample {
        Sample::Case(other, _) => other == name,
        Sample::Known(other, _) => *other == name,
        _ => false,
    };
    let all = cases(ty);
    let at = all.iter().position(|(other, _)| is_name(&other.clone().holding(None)));
    let own = at.and_then(|at| all.get(at).cloned());
    let earlier = all.into_iter().take(at.unwrap_or(0)).filter_map(|(name, ty)| match ty {
        Some(ty) => Some(name.holding(Some(smallest(&ty)?))),
        None => Some(name.holding(None)),
    });
    let inner = own.zip(payload).and_then(|((name, ty), payload)| Some((name, ty?, payload)));
    let inner = inner
        .into_iter()
        .flat_map(|(name, ty, payload)| smaller(&ty, payload).map(move |smaller| name.clone().holding(Some(smaller))));
    Box::new(earlier.chain(inner))
}

/// Zero, the positive one, and ever less of the way to zero.
fn integers(value: i128) -> impl Iterator<Item = i128> {
    let positive = (value < 0 && value > i128::from(i64::MIN)).then_some(-value);
    // The least number of a type has no positive one in it.
    let positive = positive.filter(|value| ![128, 32_768, 2_147_483_648].contains(value));
    let halves = std::iter::successors(Some(value), |part| Some(part / 2)).take_while(|part| *part != 0);
    positive.into_iter().chain(halves.map(move |part| value - part))
}

fn floats(value: f64) -> impl Iterator<Item = f64> {
    let zero = value.to_bits() == 0;
    let ends = (!zero).then_some(0.0).into_iter().chain((!zero && value != 1.0).then_some(1.0));
    let positive = (value < 0.0).then_some(-value);
    let whole = Some(value.trunc()).filter(|whole| value.is_finite() && *whole != value && *whole != 0.0);
    let half = Some((value / 2.0).trunc()).filter(|_| value.is_finite() && value.abs() > 2.0);
    ends.chain(positive).chain(whole).chain(half)
}

fn chars(value: char) -> impl Iterator<Item = char> {
    let (code, least) = (u32::from(value), u32::from('a'));
    let other = (value != 'a').then_some('a');
    let way = code.saturating_sub(least);
    let halves = std::iter::successors(Some(way / 2), |part| Some(part / 2)).take_while(|part| *part != 0);
    other.into_iter().chain(halves.filter_map(move |part| char::from_u32(code - part)))
}

fn texts(text: &str) -> Smaller<'_> {
    let all: Vec<char> = text.chars().collect();
    let alike = all.iter().any(|c| *c != 'a').then(|| Sample::Text("a".repeat(all.len())));
    let short: Vec<char> = if all.len() <= ONE_BY_ONE { all.clone() } else { Vec::new() };
    let inner = (0..short.len()).flat_map(move |n| {
        let short = short.clone();
        let one = short.get(n).copied().unwrap_or('a');
        chars(one).map(move |smaller| {
            Sample::Text(short.iter().enumerate().map(|(at, c)| if at == n { smaller } else { *c }).collect())
        })
    });
    if all.len() > 4 * ONE_BY_ONE {
        // Long texts are cut at their ends first.
        let start = cuts(all.len()).map(move |length| Sample::Text(text.chars().take(length).collect()));
        let end = cuts(all.len()).map(move |length| Sample::Text(text.chars().skip(all.len() - length).collect()));
        return Box::new(start.chain(end).chain(alike));
    }
    let lengths: Vec<Sample> = shorter(&all).map(|chars| Sample::Text(chars.into_iter().collect())).collect();
    Box::new(lengths.into_iter().chain(alike).chain(inner))
}

/// Lengths below one, from nothing on ever nearer to it.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(length), |part| Some(part / 2))
        .take_while(|part| *part != 0)
        .map(move |part| length - part)
}

/// A list that is cut at its end, and one that lacks a part in the middle.
fn shorter<V: Clone>(items: &[V]) -> impl Iterator<Item = Vec<V>> {
    let cut = cuts(items.len()).map(|length| items.iter().take(length).cloned().collect());
    let sizes = std::iter::successors(Some(items.len() / 2), |size| Some(size / 2)).take_while(|size| *size != 0);
    let sizes = sizes.take_while(|size| items.len() / size <= ONE_BY_ONE);
    let without = sizes.flat_map(move |size| {
        (0..items.len())
            .step_by(size)
            .map(move |start| items.iter().take(start).chain(items.iter().skip(start + size)).cloned().collect())
    });
    cut.chain(without)
}

fn except(names: &[String], without: usize) -> Vec<String> {
    names.iter().enumerate().filter(|(n, _)| *n != without).map(|(_, name)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wasm_wave::value::Type;

    use super::super::generate::inputs;
    use super::super::generate::tests::{types, value};
    use super::*;

    /// Goes on from whichever smaller value still fails, as a run does.
    fn shrunk(types: &[Type], mut samples: Vec<Sample>, fails: impl Fn(&[Sample]) -> bool) -> (String, usize) {
        let mut tries = 0;
        loop {
            let next = smaller_arguments(types, &samples).find(|next| {
                tries += 1;
                assert!(tries < 5000, "it doesn't end");
                fails(next)
            });
            match next {
                Some(next) => samples = next,
                None => break,
            }
        }
        (samples.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "), tries)
    }

    /// What is generated, but for the long ones, which take long to read a hundred times.
    fn short(ty: &Type, seed: u64, round: u64) -> Option<Vec<Sample>> {
        inputs(std::slice::from_ref(ty), seed, round)
            .filter(|samples| samples.iter().all(|s| s.to_string().len() < 5000))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_smaller_is_of_the_same_type(ty in types(), seed: u64, round in 0_u64..300) {
            if let Some(samples) = short(&ty, seed, round) {
                for smaller in smaller_arguments(std::slice::from_ref(&ty), &samples).take(100) {
                    prop_assert_ne!(smaller[0].to_string(), samples[0].to_string());
                    value(&ty, &smaller[0]);
                }
            }
        }

        /// Where everything fails, it ends at the least value of the type.
        #[test]
        fn it_ends_at_the_least_value(ty in types(), seed: u64, round in 0_u64..300) {
            if let Some(samples) = short(&ty, seed, round) {
                let (text, _) = shrunk(std::slice::from_ref(&ty), samples, |_| true);
                prop_assert_eq!(text, smallest(&ty).unwrap().to_string());
            }
        }
    }

    #[test]
    fn a_threshold_is_found_exactly() {
        let above = |samples: &[Sample]| matches!(samples[0], Sample::Integer(n) if n > 1 << 53);
        assert_eq!(shrunk(&[Type::S64], vec![Sample::Integer(i64::MAX.into())], above).0, "9007199254740993");
        let below = |samples: &[Sample]| matches!(samples[0], Sample::Integer(n) if n < -1000);
        assert_eq!(shrunk(&[Type::S32], vec![Sample::Integer(i32::MIN.into())], below).0, "-1001");
        let long = |samples: &[Sample]| matches!(&samples[0], Sample::List(items) if items.len() > 300);
        let list = vec![Sample::List(vec![Sample::Integer(9); 65_537])];
        let (text, tries) = shrunk(&[Type::list(Type::U8)], list, long);
        assert_eq!((text.matches('0').count(), text.matches('9').count()), (301, 0));
        assert!(tries < 400, "{tries}");
        let text = |samples: &[Sample]| matches!(&samples[0], Sample::Text(text) if text.contains('é'));
        assert_eq!(shrunk(&[Type::STRING], vec![Sample::Text("aaé bé\0".to_owned())], text).0, "\"é\"");
    }

    #[test]
    fn what_is_nested_is_found() {
        let ty = Type::record([("a", Type::list(Type::option(Type::option(Type::U8)))), ("b", Type::STRING)]).unwrap();
        let fails = |samples: &[Sample]| samples[0].to_string().contains("some(none)");
        let some = |inner| Sample::Known("some", Some(Box::new(inner)));
        let items =
            vec![some(some(Sample::Integer(7))), some(Sample::Known("none", None)), Sample::Known("none", None)];
        let fields = vec![("a".to_owned(), Sample::List(items)), ("b".to_owned(), Sample::Text("xyz".to_owned()))];
        assert_eq!(shrunk(&[ty], vec![Sample::Record(fields)], fails).0, "{a: [some(none)], b: \"\"}");
    }
}
