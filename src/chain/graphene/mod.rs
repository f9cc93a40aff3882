//! The Graphene family: binary codec, operations, signing.
