//! What can be known of a JSON body without reading it: how deep it is, and what stands at its top.
//!
//! A body that is passed on as it came is read by the worker. Here one pass over its bytes finds what the gateway itself must
//! know, and refuses what no reader should be handed.

use bytes::Bytes;
use memchr::memchr2;
use memchr::memmem;

use crate::parts::by_size;
use crate::refusal::Refusal;

/// The names at the top of a JSON object that mean something to the gateway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    pub(crate) has_id: bool,
    pub(crate) has_deadline: bool,
    /// The deadline, when it is a whole number.
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) has_options: bool,
    /// It repeats which model it is for, as KServe's client does; workers do not take that.
    pub(crate) names_model: bool,
    /// The object has no members.
    pub(crate) is_empty: bool,
}

impl Outline {
    /// [`Outline::of`] a whole body, where it delays nobody. It has options only when they are those that the gateway itself must
    /// answer, and not the worker.
    ///
    /// # Errors
    /// As [`Outline::of`].
    pub(crate) async fn of_body(json: Bytes, depth_max: usize) -> Result<Self, Refusal> {
        let json_bytes = json.len();
        let look = move || {
            let outline = Self::of(&json, depth_max)?;
            Ok(Self { has_options: outline.has_options && mentions_own_options(&json), ..outline })
        };
        by_size(json_bytes, look).await?
    }

    /// Looks at a body that should be one JSON object. It is not checked to be one beyond its first byte and its nesting.
    ///
    /// # Errors
    /// When it does not begin an object, or nests deeper than `depth_max`.
    pub(crate) fn of(json: &[u8], depth_max: usize) -> Result<Self, Refusal> {
        let start = json.iter().position(|byte| !byte.is_ascii_whitespace());
        let Some(start) = start.filter(|start| json.get(*start) == Some(&b'{')) else {
            return Err(Refusal::invalid("the body is not a JSON object"));
        };
        let mut outline = Self { is_empty: true, ..Self::default() };
        let (mut depth, mut at) = (0_usize, start);
        while let Some(&byte) = json.get(at) {
            at += 1;
            match byte {
                b'{' | b'[' => {
                    depth += 1;
                    if depth > depth_max {
                        return Err(Refusal::invalid(format!(
                            "the JSON nests deeper than {depth_max} levels (setting gateway.json_depth_max)"
                        )));
                    }
                }
                b'}' | b']' => depth = depth.saturating_sub(1),
                b'"' => {
                    let end = end_of_string(json, at);
                    if depth == 1 {
                        outline.note(json.get(at..end).unwrap_or_default(), json.get(end + 1..));
                    }
                    at = end + 1;
                }
                _ => {}
            }
        }
        Ok(outline)
    }

    fn note(&mut self, text: &[u8], after: Option<&[u8]>) {
        self.is_empty = false;
        let Some(value) = after.and_then(|after| after.trim_ascii_start().strip_prefix(b":")) else { return };
        match text {
            b"id" => self.has_id = true,
            b"deadline_ms" => {
                self.has_deadline = true;
                self.deadline_ms = whole_number(value.trim_ascii_start());
            }
            b"model_name" | b"model_version" => self.names_model = true,
            b"parameters" | b"outputs" => self.has_options = true,
            _ => {}
        }
    }
}

/// Whether a body may have options that the gateway itself must answer, and not the worker.
fn mentions_own_options(json: &[u8]) -> bool {
    ["binary_data", "classification", "shared_memory"]
        .iter()
        .any(|name| memmem::find(json, name.as_bytes()).is_some())
}

/// The whole number that begins a text.
fn whole_number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(text.get(..digits)?).ok()?.parse().ok()
}

/// Where the string that begins at `at` ends: the place of its closing quote, or the end of the text.
fn end_of_string(json: &[u8], mut at: usize) -> usize {
    loop {
        let Some(offset) = memchr2(b'"', b'\\', json.get(at..).unwrap_or_default()) else {
            return json.len();
        };
        at += offset;
        if json.get(at) == Some(&b'"') {
            return at;
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(json: &str) -> Outline {
        Outline::of(json.as_bytes(), 8).unwrap()
    }

    #[test]
    fn only_names_at_the_top_count() {
        let nested = of(r#"{"inputs":[{"id":1,"outputs":2}],"other":"id","text":"\"deadline_ms\":"}"#);
        assert_eq!(nested, Outline::default());
        let top = of(r#" {"deadline_ms" : 1, "outputs":[], "id":"a"}"#);
        assert_eq!(
            top,
            Outline {
                has_id: true,
                has_deadline: true,
                deadline_ms: Some(1),
                has_options: true,
                ..Outline::default()
            }
        );
        assert!(of(" { } ").is_empty);
    }

    #[tokio::test]
    async fn only_options_for_the_gateway_count_however_large_the_body() {
        for filler in [0, 2 << 20] {
            let body = |option: &str| {
                format!(r#"{{"outputs":[{{"name":"y",{option}}}],"z":"{}"}}"#, "z".repeat(filler))
            };
            let of = |option| Outline::of_body(body(option).into(), 8);
            assert!(of(r#""parameters":{"binary_data":true}"#).await.unwrap().has_options);
            assert!(!of(r#""parameters":{}"#).await.unwrap().has_options);
        }
    }

    #[test]
    fn the_deadline_is_read_when_it_is_a_whole_number() {
        assert_eq!(of("{\"inputs\":[],\"deadline_ms\" :\n 250 }").deadline_ms, Some(250));
        assert_eq!(of(r#"{"deadline_ms":250"#).deadline_ms, Some(250));
        for json in [r#"{"deadline_ms":"250"}"#, r#"{"deadline_ms":-1}"#, r#"{"deadline_ms":"#] {
            let outline = of(json);
            assert!(outline.has_deadline && outline.deadline_ms.is_none(), "{json}");
        }
        let digits = format!("{{\"deadline_ms\":{}}}", "9".repeat(30));
        assert_eq!(of(&digits).deadline_ms, None);
    }

    #[test]
    fn what_is_no_object_or_too_deep_is_refused() {
        for json in ["", "  ", "[]", "1", "\u{81}"] {
            assert!(Outline::of(json.as_bytes(), 8).is_err(), "{json}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100));
        assert!(Outline::of(deep.as_bytes(), 100).is_err());
        assert!(Outline::of(deep.as_bytes(), 101).is_ok());
    }

    #[test]
    fn brackets_in_strings_do_not_nest() {
        assert!(Outline::of(br#"{"a":"[[[[[[\"[[[\\"}"#, 2).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut json = b"{".to_vec();
            json.extend(&bytes);
            let _ = Outline::of(&json, 8);
            let _ = mentions_own_options(&json);
        }
    }
}
