//! How the shape of a message is written down: a list of fields, each with the versions that carry it.
//!
//! A [`Schema`] says nothing about meaning, only about what stands on the wire: widths, lengths, counts,
//! nesting. It is data, so that one short walker ([`super::walk`]) serves every API, and a test can hold each
//! schema against the crate's decoder field by field.

/// The shape of one API's requests, or of its answers, in every version that kafka-protocol decodes.
#[derive(Debug)]
pub struct Schema {
    /// The key of the API that these messages belong to.
    pub(super) api_key: i16,
    /// The lowest and highest version described, both included.
    pub(super) versions: (i16, i16),
    /// The first version with compact lengths, tagged fields (KIP-482).
    pub(super) flexible_from: i16,
    /// The fields of the message's body, in the order of the wire; tagged ones anywhere.
    pub(super) fields: &'static [Field],
}

impl Schema {
    /// Whether this version is described here, and so may be checked and decoded.
    #[must_use]
    pub const fn covers(&self, version: i16) -> bool {
        self.versions.0 <= version && version <= self.versions.1
    }

    /// Whether this version writes compact lengths and tagged fields (KIP-482).
    #[must_use]
    pub const fn is_flexible(&self, version: i16) -> bool {
        version >= self.flexible_from
    }
}

/// One field of a message or of a structure inside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// Its name as kafka-protocol spells it, for error messages.
    pub(super) name: &'static str,
    /// What stands on the wire.
    pub(super) kind: Kind,
    /// The first version that carries it.
    pub(super) since: i16,
    /// The last version that carries it.
    pub(super) until: i16,
    /// Whether null may stand in its place.
    pub(super) nullable: bool,
    /// Its tag, where it is a tagged field; else it has its fixed place (KIP-482).
    pub(super) tag: Option<u32>,
}

/// What a value looks like on the wire. Strings, bytes and arrays take their compact form in flexible
/// versions.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A number, a truth value or a UUID: so many bytes, any content. At least one.
    Fixed(usize),
    /// A length and so many bytes. Whether they are UTF-8 is left to the decoder, which checks it without a
    /// copy; what it refuses for that is [repaired](super::repaired).
    String,
    /// A length and so many bytes of any content; record sets too.
    Bytes,
    /// A count and so many elements of one kind.
    Array(&'static Self),
    /// Fields one after the other, then, in flexible versions, tagged ones.
    Struct(&'static [Field]),
}

/// A truth value.
pub(super) const BOOL: Kind = Kind::Fixed(1);
/// A number of 8 bits.
pub(super) const INT8: Kind = Kind::Fixed(1);
/// A number of 16 bits.
pub(super) const INT16: Kind = Kind::Fixed(2);
/// A number of 32 bits.
pub(super) const INT32: Kind = Kind::Fixed(4);
/// A number of 64 bits.
pub(super) const INT64: Kind = Kind::Fixed(8);
/// A number with a fraction.
pub(super) const FLOAT64: Kind = Kind::Fixed(8);
/// A UUID.
pub(super) const UUID: Kind = Kind::Fixed(16);

/// A field in every version, never null.
pub(super) const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, since: 0, until: i16::MAX, nullable: false, tag: None }
}

/// A tagged field in every flexible version, never null.
pub(super) const fn tagged(tag: u32, name: &'static str, kind: Kind) -> Field {
    Field { tag: Some(tag), ..field(name, kind) }
}

impl Field {
    /// This field, carried only from `version` on.
    pub(super) const fn since(self, version: i16) -> Self {
        Self { since: version, ..self }
    }

    /// This field, carried only up to `version`.
    pub(super) const fn until(self, version: i16) -> Self {
        Self { until: version, ..self }
    }

    /// This field, which may be null.
    pub(super) const fn nullable(self) -> Self {
        Self { nullable: true, ..self }
    }

    /// Whether this version carries the field.
    pub(super) const fn is_in(&self, version: i16) -> bool {
        self.since <= version && version <= self.until
    }
}
