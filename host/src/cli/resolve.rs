//! `--resolve`: names that are answered by the caller and not by the system's resolver.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use host::{Resolve, SystemResolver};

/// What the caller says that a name resolves to.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    name: String,
    addresses: Vec<IpAddr>,
}

impl Answer {
    /// Reads `NAME=ADDRESS[,ADDRESS…]`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, addresses) = text.split_once('=').ok_or("it is not `NAME=ADDRESS`")?;
        if name.is_empty() {
            return Err("it has no name".to_owned());
        }
        let address = |text: &str| text.parse().map_err(|_| format!("`{text}` is no address"));
        let addresses = addresses.split(',').map(address).collect::<Result<_, _>>()?;
        Ok(Self { name: name.to_ascii_lowercase(), addresses })
    }
}

/// Answers what it knows, and asks the system for the rest.
pub(super) struct Answers(Mutex<HashMap<String, Vec<Vec<IpAddr>>>>);

impl Answers {
    /// Several answers for one name are given in turn, and the last one from then on.
    pub(super) fn new(answers: &[Answer]) -> Self {
        let mut map: HashMap<_, Vec<_>> = HashMap::new();
        for answer in answers {
            map.entry(answer.name.clone()).or_default().push(answer.addresses.clone());
        }
        Self(Mutex::new(map))
    }

    fn known(&self, name: &str) -> Option<Vec<IpAddr>> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = map.get_mut(&name.to_ascii_lowercase())?;
        if turns.len() > 1 { Some(turns.remove(0)) } else { turns.first().cloned() }
    }
}

#[async_trait::async_trait]
impl Resolve for Answers {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        match self.known(name) {
            Some(addresses) => Ok(addresses),
            None => SystemResolver.resolve(name).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(texts: &[&str]) -> Answers {
        Answers::new(&texts.iter().map(|text| Answer::parse(text).unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn answers_are_given_in_turn_and_the_last_one_stays() {
        let answers = answers(&["a.example=192.0.2.1,::1", "A.example=192.0.2.2"]);
        let first: Vec<IpAddr> = vec!["192.0.2.1".parse().unwrap(), "::1".parse().unwrap()];
        let last: Vec<IpAddr> = vec!["192.0.2.2".parse().unwrap()];
        assert_eq!(answers.known("a.EXAMPLE"), Some(first));
        assert_eq!(answers.known("a.example"), Some(last.clone()));
        assert_eq!(answers.known("a.example"), Some(last));
        assert_eq!(answers.known("b.example"), None);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for wrong in ["a.example", "=192.0.2.1", "a.example=", "a.example=b.example", "a.example=192.0.2.1,"] {
            assert!(Answer::parse(wrong).is_err(), "{wrong}");
        }
    }
}
