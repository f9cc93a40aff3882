//! Raw YAML shape → validated [`Config`]; every error with its path and line. Reads the config file and nothing else.

mod model;

pub use model::*;
