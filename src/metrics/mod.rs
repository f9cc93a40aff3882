//! Every metric name, once; rendered from the latest snapshot.
