//! Webhook payload → requests; heartbeats; silences.
