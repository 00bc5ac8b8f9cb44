//! What the members of a classic group of consumers tell each other: the embedded protocol "consumer".
