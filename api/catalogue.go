package api

import "github.com/prometheus/client_golang/prometheus"

// metric is one time series, or one for each value of its labels. No label's
// value ever comes out of a log: they are names of the configuration, ids of
// rules, and words of weir's own.
type metric struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string
}

// catalogue is every metric of weir's own; docs/METRICS.md explains them.
var catalogue = []metric{
	gauge("weir_build_info", "The version that runs; always 1.", "version", "goversion"),
	gauge("weir_ready", "Whether /readyz says that weir is ready."),
	gauge("weir_start_timestamp_seconds", "When the run began, in Unix time."),

	gauge("weir_status_age_seconds", "How long ago the engine said how it stands; it does once a second."),
	gauge("weir_tick_timestamp_seconds", "The second of the log that was closed last, in Unix time."),
	gauge("weir_watermark_age_seconds", "How far the oldest watermark of a source's partitions that are not idle is behind the clock.", "source"),
	gauge("weir_partition_watermark_age_seconds", "How far a partition's watermark is behind the clock.", "source", "partition"),
	gauge("weir_partition_lag", "How much of a partition is still to be read: records of a topic, bytes of a file.", "source", "partition"),
	gauge("weir_partition_saved_offset", "From where in a partition a restart would read on.", "source", "partition"),
	gauge("weir_partition_idle", "Whether a partition has nothing to read and does not hold the clock.", "source", "partition"),
	gauge("weir_partition_lost", "Whether a partition's source cannot tell whether there is more.", "source", "partition"),
	gauge("weir_broken_files", "Files that could not be read to their end."),

	counter("weir_events_total", "Events that counted, with those that a source's only passes by."),
	counter("weir_late_events_total", "Events that counted in a later second than their own."),
	counter("weir_dropped_events_total", "Events that came too late to count."),
	counter("weir_future_events_total", "Events of files too far ahead of the others to be believed."),
	counter("weir_clamped_events_total", "Events of topics set back to a minute behind their append time."),
	counter("weir_again_events_total", "Events read a second time after a restart, and passed over."),
	counter("weir_filtered_events_total", "Events passed by, as a source's only says."),
	counter("weir_refused_events_total", "Events that an enforcement point had refused."),
	counter("weir_rejected_lines_total", "Lines that could not be read.", "reason"),

	gauge("weir_keys", "Keys in the windows."),
	counter("weir_shed_total", "What was not kept since there was no room.", "kind"),
	counter("weir_turned_away_keys_total", "Keys that were not admitted when they came for the first time, while degraded."),
	gauge("weir_degraded", "Whether any unit turns new keys away now."),
	gauge("weir_degraded_units", "Units that turn new keys away now."),
	gauge("weir_degraded_since_timestamp_seconds", "Since when units turn new keys away; absent while none does."),
	gauge("weir_on_rules", "Rules that are on, for each key that they are on for."),
	gauge("weir_pending_rows", "Rows delivered to units that wait for their second to close."),

	gauge("weir_state_bytes", "Bytes of all keys, wherever they are, as they are accounted."),
	gauge("weir_state_limit_bytes", "The limit on them: state: disk."),
	gauge("weir_memory_limit_bytes", "The limit on what is in memory: state: memory."),
	gauge("weir_resident_bytes", "Bytes of the keys in memory."),
	gauge("weir_dirty_bytes", "Bytes of those in memory that changed since the last checkpoint."),
	gauge("weir_store_memory_bytes", "Bytes of the store's directory of pages in memory."),
	gauge("weir_store_memory_limit_bytes", "What the store's own tables and caches may take besides."),
	gauge("weir_store_keys", "Keys on disk, those that are over and not dropped yet among them."),
	gauge("weir_store_bytes", "Bytes of what counts on disk."),
	gauge("weir_store_garbage_bytes", "Bytes on disk that later checkpoints superseded, and that are not given back yet."),
	gauge("weir_store_disk_bytes", "Bytes that the store's files take on disk."),
	counter("weir_store_written_bytes_total", "Bytes of checkpoints written."),
	gauge("weir_stores_put_aside", "Damaged stores that stand aside in the state's directory; the newest two are kept."),
	gauge("weir_store_put_aside_timestamp_seconds", "When the newest of them was put aside, in Unix time; absent where there is none."),
	gauge("weir_rebuild_remaining_seconds", "Seconds of the log that had been decided before and are to be derived again; -1: not known yet."),
	gauge("weir_checkpoint_age_seconds", "How long ago the last checkpoint was on disk."),
	gauge("weir_checkpoint_tick_timestamp_seconds", "The second of the log that the last checkpoint is of, in Unix time."),
	gauge("weir_checkpoint_duration_seconds", "How long the last checkpoint took."),
	gauge("weir_checkpoint_stall_seconds", "The longest that events waited for the last checkpoint."),
	counter("weir_checkpoint_failures_total", "Checkpoints that could not be made."),
	gauge("weir_checkpoint_failing", "Whether no checkpoint can be made now."),
	gauge("weir_resumed_timestamp_seconds", "The second of the log that this run went on from; absent where it began without a state."),
	gauge("weir_log_gap_timestamp_seconds", "The second from which on the log is whole; absent unless windows reach back behind it."),
	gauge("weir_rule_complete_timestamp_seconds", "When the windows of a rule will be complete; absent for those that are.", "rule"),
	gauge("weir_archive_queue_bytes", "Bytes of events that wait to be written to the archive."),
	gauge("weir_archive_bytes", "Bytes of the archive's files."),
	gauge("weir_archive_open_bytes", "Bytes of events of the archive's hours that are no file yet."),
	gauge("weir_archive_lag_seconds", "For how long the oldest event has waited to be written."),
	gauge("weir_archive_failing", "Whether the archive cannot be written now."),
	gauge("weir_archive_pending_files", "Hours of the archive that are over and wait to become files."),
	counter("weir_archive_deleted_files_total", "Oldest files of the archive that were deleted for want of room."),

	counter("weir_decisions_total", "Lines of the ledger, by what they say happened, to decisions of which mode.", "rule", "step", "mode"),
	counter("weir_held_total", "Decisions that a guard held, by the guard.", "guard"),
	counter("weir_allowed_decisions_total", "Decisions that an allow entry of the site file hid, by the entry.", "entry"),
	gauge("weir_in_force", "Entries of the ledger in force.", "action"),
	gauge("weir_queued", "Decisions that wait to come into force."),
	counter("weir_late_decisions_total", "Decisions that were over when they were made, and so never enforced."),
	counter("weir_passed_decisions_total", "Decisions passed over since the ledger had them from an earlier life."),
	gauge("weir_ledger_well", "Whether the ledger could be read and written."),
	counter("weir_ledger_lines_total", "Lines written to the ledger."),
	counter("weir_ledger_lost_lines_total", "Lines of the ledger that were never written, for want of room."),
	gauge("weir_blocking_stopped", "Whether an operator stopped all blocking."),
	gauge("weir_breaker_tripped", "1 for each rule whose breaker is open.", "rule"),

	gauge("weir_point_desired_entries", "Entries that a point is to hold.", "point"),
	gauge("weir_point_held_entries", "Entries that a point was last seen to hold.", "point"),
	gauge("weir_point_drift_entries", "Entries in which the two differ; absent while the point cannot be read.", "point"),
	gauge("weir_point_inexpressible_entries", "Entries in force that a point cannot express.", "point"),
	gauge("weir_point_shed_entries", "Entries for which a point has no room.", "point"),
	gauge("weir_point_fault_entries", "Entries that the guards took out of a compiled list; never anything but 0.", "point"),
	gauge("weir_point_failing", "Whether the last attempt to read or apply failed.", "point"),
	gauge("weir_point_read_timestamp_seconds", "When a point was last read, in Unix time.", "point"),
	counter("weir_point_lists_applied_total", "Lists handed to a point.", "point"),

	counter("weir_api_requests_total", "Answers of the api, by route (empty: there is none such) and status code.", "route", "code"),
	counter("weir_api_refused_connections_total", "Connections closed since too many were open."),
}

func gauge(name, help string, labels ...string) metric {
	return metric{name, help, prometheus.GaugeValue, labels}
}

func counter(name, help string, labels ...string) metric {
	return metric{name, help, prometheus.CounterValue, labels}
}
