//! JSON in which a name stands twice in one object: readers differ in which of the two they take (RFC 8259, section 4), so
//! a signature under it vouches for two things.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A name that stands twice in one object somewhere in `json`. What is no JSON has none.
pub(super) fn member(json: &[u8]) -> Option<String> {
    const MARK: &str = "stands twice: ";
    let error = serde_json::from_slice::<Walk>(json).err()?.to_string();
    let name = error.split_once(MARK)?.1;
    Some(name.rsplit_once(" at line").map_or(name, |(name, _)| name).to_owned())
}

struct Walk;

impl<'de> Deserialize<'de> for Walk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WalkVisitor)
    }
}

struct WalkVisitor;

impl<'de> Visitor<'de> for WalkVisitor {
    type Value = Walk;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Walk, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            map.next_value::<Walk>()?;
            if !seen.insert(name.clone()) {
                return Err(A::Error::custom(format!("stands twice: {name}")));
            }
        }
        Ok(Walk)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Walk, A::Error> {
        while items.next_element::<Walk>()?.is_some() {}
        Ok(Walk)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Walk, E> {
        Ok(Walk)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Walk, E> {
        Ok(Walk)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Walk, E> {
        Ok(Walk)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Walk, E> {
        Ok(Walk)
    }

    fn visit_str<E>(self, _: &str) -> Result<Walk, E> {
        Ok(Walk)
    }

    fn visit_unit<E>(self) -> Result<Walk, E> {
        Ok(Walk)
    }
}

#[cfg(test)]
mod tests {
    use super::member;

    #[test]
    fn a_repeated_name_is_found_at_any_depth_and_others_are_not() {
        assert_eq!(member(br#"{"a":1,"b":[{"x":{"c":1,"c":2}}]}"#).as_deref(), Some("c"));
        assert_eq!(member(br#"{"\u0061":1,"a":1}"#).as_deref(), Some("a"));
        for fine in [&br#"{"a":{"a":1},"b":[{"a":null},{"a":true}]}"#[..], b"[1,-1,1.5,\"x\"]", b"{", b"", b"\xff"] {
            assert_eq!(member(fine), None);
        }
    }
}
