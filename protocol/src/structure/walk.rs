//! The walk over a message's bytes by its schema.
//!
//! # Invariants
//!
//! * Nothing is allocated on the way, except for an error's path and, where they are asked for, the places of damaged strings.
//! * The work is bounded by the frame: every element takes at least one byte, and a count is held against the
//!   bytes that remain before its elements are looked at.
//! * The depth is bounded by the schema, which is finite.

use std::ops::Range;

use super::cursor::Cursor;
use super::error::{Fault, StructureError};
use super::schema::{Field, Kind, Schema};

/// How many array elements and tagged fields one request may hold.
///
/// A decoded element takes up to some 300 bytes, its map of tagged fields included, while the shortest on the
/// wire takes one or two: a frame of 100 MB could ask for several GB even though every count in it is true.
/// Numbers in arrays count, too: many of them are partitions, each with an entry of its own in the answer.
/// This bound keeps what a request decodes to below some 80 MB beyond its frame. No client names that many
/// topics, partitions or groups in one request; Kafka's largest clusters have 200,000 partitions.
pub const MAX_ELEMENTS: usize = 1 << 18;

/// How many array elements and tagged fields one answer may hold, numbers in arrays aside: decoded, they take no more than on the
/// wire, and the metadata of a large cluster has a dozen of them a partition.
///
/// An answer decodes to at most some 250 MB beyond its frame. It has room for the metadata of half a million partitions.
pub const MAX_ANSWER_ELEMENTS: usize = 1 << 19;

/// How much a message may have its decoder allocate.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Array elements and tagged fields.
    elements: usize,
    /// Whether numbers in arrays are among them.
    numbers_count: bool,
}

impl Limits {
    /// What a broker takes of any client.
    pub const REQUEST: Self = Self { elements: MAX_ELEMENTS, numbers_count: true };
    /// What a client takes of any broker.
    pub const ANSWER: Self = Self { elements: MAX_ANSWER_ELEMENTS, numbers_count: false };
}

/// The longest string, in bytes. A string with a length of two bytes holds no more, and Kafka refuses longer ones in flexible
/// versions, too.
pub const MAX_STRING: usize = i16::MAX as usize;

/// What a message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Bytes of its fields.
    pub bytes: usize,
    /// Array elements and tagged fields.
    pub elements: usize,
}

/// Whether a string's length takes two bytes or four, in versions that are not flexible.
#[derive(Clone, Copy)]
enum LengthWidth {
    Two,
    Four,
}

/// A string that is not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DamagedString {
    /// Where its length begins.
    pub(super) start: usize,
    /// Where its bytes are.
    pub(super) content: Range<usize>,
}

/// One walk: the version it follows, and what it has met so far.
pub(super) struct Walk<'a> {
    cursor: Cursor<'a>,
    version: i16,
    flexible: bool,
    limits: Limits,
    elements: usize,
    /// The strings that are not UTF-8, if they are looked for.
    damaged: Option<Vec<DamagedString>>,
}

impl<'a> Walk<'a> {
    /// A walk over `body`, which is said to be of this version.
    pub(super) fn new(schema: &Schema, version: i16, body: &'a [u8], limits: Limits) -> Self {
        assert!(schema.covers(version), "the caller asks only for versions that the schema describes");
        let flexible = schema.is_flexible(version);
        Self { cursor: Cursor::new(body), version, flexible, limits, elements: 0, damaged: None }
    }

    /// Walks over `fields` and returns the strings that are not UTF-8, in their order.
    pub(super) fn damaged_strings(mut self, fields: &[Field]) -> Result<Vec<DamagedString>, StructureError> {
        self.damaged = Some(Vec::new());
        self.structure(fields)?;
        Ok(self.damaged.unwrap_or_default())
    }

    /// Walks over `fields` and returns what they take.
    pub(super) fn run(mut self, fields: &[Field]) -> Result<Extent, StructureError> {
        self.structure(fields)?;
        Ok(Extent { bytes: self.cursor.offset(), elements: self.elements })
    }

    /// Fields in their places, then the tagged ones.
    fn structure(&mut self, fields: &[Field]) -> Result<(), StructureError> {
        for field in fields {
            if field.tag.is_none() && field.is_in(self.version) {
                self.field(field)?;
            }
        }
        if self.flexible { self.tagged_fields(fields) } else { Ok(()) }
    }

    /// One field's value; a fault in it carries the field's name.
    fn field(&mut self, field: &Field) -> Result<(), StructureError> {
        self.value(field.kind, field.nullable).map_err(|error| error.within(field.name))
    }

    fn value(&mut self, kind: Kind, nullable: bool) -> Result<(), StructureError> {
        match kind {
            Kind::Fixed(width) => self.cursor.skip(width),
            Kind::String => self.string(nullable),
            Kind::Bytes => self.blob(nullable),
            Kind::Array(element) => self.array(*element, nullable),
            Kind::Struct(fields) if nullable => self.optional_structure(fields),
            Kind::Struct(fields) => self.structure(fields),
        }
    }

    /// A length and so many bytes, which should be UTF-8.
    fn string(&mut self, nullable: bool) -> Result<(), StructureError> {
        let start = self.cursor.offset();
        let Some(length) = self.length(LengthWidth::Two, nullable)? else { return Ok(()) };
        if length > MAX_STRING {
            return Err(self.cursor.fail(Fault::StringTooLong(length)));
        }
        let content = self.cursor.offset()..self.cursor.offset() + length;
        let bytes = self.cursor.take(length)?;
        if let Some(damaged) = &mut self.damaged
            && std::str::from_utf8(bytes).is_err()
        {
            damaged.push(DamagedString { start, content });
        }
        Ok(())
    }

    /// A length and so many bytes.
    fn blob(&mut self, nullable: bool) -> Result<(), StructureError> {
        let length = self.length(LengthWidth::Four, nullable)?;
        self.cursor.skip(length.unwrap_or(0))
    }

    /// A count and so many elements.
    fn array(&mut self, element: Kind, nullable: bool) -> Result<(), StructureError> {
        let Some(count) = self.length(LengthWidth::Four, nullable)? else {
            return Ok(());
        };
        let remaining = self.cursor.remaining();
        let least = self.least_size(element, false);
        assert!(least > 0, "an element without bytes would let a count go unchecked");
        if count > remaining / least {
            return Err(self.cursor.fail(Fault::CountBeyondFrame { count, remaining }));
        }
        let is_number = matches!(element, Kind::Fixed(_));
        if !is_number || self.limits.numbers_count {
            self.count_elements(count)?;
        }
        if let Kind::Fixed(width) = element {
            return self.cursor.skip(count * width);
        }
        for index in 0..count {
            self.value(element, false).map_err(|error| error.within(&format!("[{index}]")))?;
        }
        Ok(())
    }

    /// A presence byte, and the structure if it says so.
    fn optional_structure(&mut self, fields: &[Field]) -> Result<(), StructureError> {
        match self.cursor.int8()? {
            1 => self.structure(fields),
            -1 => Ok(()),
            // Kafka reads 0 and 2 as present and the crate reads them as null; no writer sends them.
            other => Err(self.cursor.fail(Fault::Presence(other))),
        }
    }

    /// The tagged fields at a structure's end. Those that this version knows are walked like any other,
    /// because the crate decodes them; the rest are bytes.
    fn tagged_fields(&mut self, fields: &[Field]) -> Result<(), StructureError> {
        let count = self.cursor.unsigned_varint()?;
        for _ in 0..count {
            self.count_elements(1)?;
            let tag = self.cursor.unsigned_varint()?;
            let size = self.cursor.unsigned_varint()? as usize;
            let known = fields.iter().find(|field| field.tag == Some(tag) && field.is_in(self.version));
            match known {
                Some(field) => self.known_tag(field, size)?,
                None => self.cursor.skip(size)?,
            }
        }
        Ok(())
    }

    /// A tagged field that the crate decodes. The crate disregards the announced size, so the two must agree.
    fn known_tag(&mut self, field: &Field, announced: usize) -> Result<(), StructureError> {
        let start = self.cursor.offset();
        self.field(field)?;
        let actual = self.cursor.offset() - start;
        if actual == announced {
            return Ok(());
        }
        Err(self.cursor.fail(Fault::TagSize { announced, actual }).within(field.name))
    }

    /// A length or count; `None` for null.
    fn length(&mut self, width: LengthWidth, nullable: bool) -> Result<Option<usize>, StructureError> {
        let length = match width {
            _ if self.flexible => self.cursor.compact_length()?,
            LengthWidth::Two => self.cursor.string_length()?,
            LengthWidth::Four => self.cursor.long_length()?,
        };
        if length.is_none() && !nullable {
            return Err(self.cursor.fail(Fault::Null));
        }
        Ok(length)
    }

    /// Counts elements that the crate will allocate for.
    fn count_elements(&mut self, count: usize) -> Result<(), StructureError> {
        self.elements = self.elements.saturating_add(count);
        let most = self.limits.elements;
        if self.elements > most {
            return Err(self.cursor.fail(Fault::TooManyElements(most)));
        }
        Ok(())
    }

    /// The fewest bytes that a value of this kind takes.
    fn least_size(&self, kind: Kind, nullable: bool) -> usize {
        match kind {
            Kind::Fixed(width) => width,
            Kind::String | Kind::Bytes | Kind::Array(_) if self.flexible => 1,
            Kind::String => 2,
            Kind::Bytes | Kind::Array(_) => 4,
            Kind::Struct(_) if nullable => 1,
            Kind::Struct(fields) => {
                let placed = fields.iter().filter(|field| field.tag.is_none() && field.is_in(self.version));
                let placed: usize = placed.map(|field| self.least_size(field.kind, field.nullable)).sum();
                placed + usize::from(self.flexible)
            }
        }
    }
}
