// Package ingest reads log lines and decodes them into raw events.
//
// A Source hands over records, a Decoder turns one line into one event. What
// cannot be read is counted by reason and never stops anything. Nothing here
// interprets a field: that is enrich's.
package ingest
