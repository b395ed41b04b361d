//! Settings, telemetry, health and ordered shutdown, the same for every service.
