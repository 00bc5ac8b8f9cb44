//! Messages written by a schema: what a client or a broker would send, with every field of the version filled.

use super::schema::{Field, Kind, Schema};

/// Why no length is too long: what tests write is small.
const FITS: &str = "a sample is small";

/// A tag that no schema knows.
const UNKNOWN_TAG: u32 = 4_000;

/// Writes one message. Values are never a tagged field's default, or the crate would leave the field out
/// again.
#[derive(Clone, Debug)]
pub struct Sampler {
    schema: &'static Schema,
    version: i16,
    /// Decides, byte by byte, on counts, nulls and values; once used up, everything is present, once.
    choices: Vec<u8>,
    body: Vec<u8>,
    /// Structures so far; and the one whose unknown field has another tag than usual.
    structures: usize,
    other_tag: Option<(usize, u32)>,
    /// Places where null could be written, so far; and the one where it is.
    places: usize,
    null_at: Option<usize>,
    nulled: Option<String>,
    /// What strings consist of.
    letter: u8,
}

impl Sampler {
    /// A message in which nothing is null and no array empty.
    #[must_use]
    pub fn full(schema: &'static Schema, version: i16) -> Self {
        Self::random(schema, version, Vec::new())
    }

    /// A message whose counts, nulls and values follow `choices`.
    #[must_use]
    pub fn random(schema: &'static Schema, version: i16, choices: Vec<u8>) -> Self {
        Self {
            schema,
            version,
            choices,
            body: Vec::new(),
            structures: 0,
            other_tag: None,
            places: 0,
            null_at: None,
            nulled: None,
            letter: b's',
        }
    }

    /// The body with a field of this tag in the `place`-th structure, unless the structure has one; `None` when there
    /// are fewer structures.
    #[must_use]
    pub fn with_tag_at(mut self, place: usize, tag: u32) -> Option<Vec<u8>> {
        self.other_tag = Some((place, tag));
        self.structure(self.schema.fields);
        (place < self.structures).then_some(self.body)
    }

    /// The same with strings of this byte.
    #[must_use]
    pub fn with_letter(self, letter: u8) -> Self {
        Self { letter, ..self }
    }

    /// The body.
    #[must_use]
    pub fn body(mut self) -> Vec<u8> {
        self.structure(self.schema.fields);
        self.body
    }

    /// The body with null at the `place`-th string, bytes or array, and the name of that field; no name when
    /// there are fewer such places.
    #[must_use]
    pub fn with_null_at(mut self, place: usize) -> (Vec<u8>, Option<String>) {
        self.null_at = Some(place);
        self.structure(self.schema.fields);
        (self.body, self.nulled)
    }

    fn flexible(&self) -> bool {
        self.schema.is_flexible(self.version)
    }

    fn choice(&mut self, default: u8) -> u8 {
        self.choices.pop().unwrap_or(default)
    }

    fn structure(&mut self, fields: &'static [Field]) {
        let structure = self.structures;
        self.structures += 1;
        let present = || fields.iter().filter(|field| field.is_in(self.version));
        let placed: Vec<_> = present().filter(|field| field.tag.is_none()).collect();
        let mut tagged: Vec<_> = present().filter_map(|field| Some((field.tag?, field))).collect();
        tagged.sort_by_key(|(tag, _)| *tag);
        for field in placed {
            self.value(field, field.kind, field.nullable);
        }
        if !self.flexible() {
            return;
        }
        let unknown_tag = match self.other_tag {
            Some((place, tag)) if place == structure => tag,
            _ => UNKNOWN_TAG,
        };
        let unknown = tagged.iter().all(|(tag, _)| *tag != unknown_tag);
        self.body.extend(unsigned_varint(tagged.len() + usize::from(unknown)));
        for (tag, field) in tagged {
            self.tagged_field(tag, |sampler| sampler.value(field, field.kind, false));
        }
        if unknown {
            self.tagged_field(unknown_tag, |sampler| sampler.body.extend_from_slice(&[0; 40]));
        }
    }

    fn tagged_field(&mut self, tag: u32, content: impl FnOnce(&mut Self)) {
        let before = std::mem::take(&mut self.body);
        content(self);
        let content = std::mem::replace(&mut self.body, before);
        self.body.extend(unsigned_varint(tag as usize));
        self.body.extend(unsigned_varint(content.len()));
        self.body.extend(content);
    }

    fn value(&mut self, field: &'static Field, kind: Kind, nullable: bool) {
        match kind {
            // Truth values come back from the crate as 0 or 1.
            Kind::Fixed(1) => self.body.push(1),
            Kind::Fixed(width) => {
                let value = self.choice(1).clamp(1, 0x7e);
                self.body.resize(self.body.len() + width, value);
            }
            Kind::Struct(fields) if nullable => {
                if self.is_null(field, nullable) {
                    self.body.push(0xff);
                } else {
                    self.body.push(1);
                    self.structure(fields);
                }
            }
            Kind::Struct(fields) => self.structure(fields),
            Kind::String | Kind::Bytes => {
                let length =
                    if self.is_null(field, nullable) { None } else { Some(usize::from(self.choice(3) % 8)) };
                self.length(length, matches!(kind, Kind::String));
                let letter = if matches!(kind, Kind::String) { self.letter } else { b's' };
                self.body.resize(self.body.len() + length.unwrap_or(0), letter);
            }
            Kind::Array(element) => {
                // An empty array is a tagged field's default.
                let least = usize::from(field.tag.is_some());
                let count = if self.is_null(field, nullable) {
                    None
                } else {
                    Some(usize::from(self.choice(2) % 4).max(least))
                };
                self.length(count, false);
                for _ in 0..count.unwrap_or(0) {
                    self.value(field, *element, false);
                }
            }
        }
    }

    /// Whether to write null here: where the test asks for it, else at times where the field allows it.
    fn is_null(&mut self, field: &Field, nullable: bool) -> bool {
        let place = self.places;
        self.places += 1;
        match self.null_at {
            Some(null_at) if null_at == place => {
                self.nulled = Some(field.name.to_owned());
                true
            }
            Some(_) => false,
            None => nullable && self.choice(1).is_multiple_of(4),
        }
    }

    fn length(&mut self, length: Option<usize>, short: bool) {
        if self.flexible() {
            self.body.extend(unsigned_varint(length.map_or(0, |length| length + 1)));
        } else if short {
            let length = length.map_or(-1, |length| i16::try_from(length).expect(FITS));
            self.body.extend(length.to_be_bytes());
        } else {
            let length = length.map_or(-1, |length| i32::try_from(length).expect(FITS));
            self.body.extend(length.to_be_bytes());
        }
    }
}

/// An unsigned varint, least significant group first.
#[must_use]
pub fn unsigned_varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).expect(FITS) | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).expect(FITS));
    bytes
}
