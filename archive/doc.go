// Package archive keeps a run's events as Parquet files by hour and hands them
// out again as the partitions that they came from.
//
// Events go into a spool of their source and hour first, which a checkpoint
// syncs and a restart cuts back; what a checkpoint has wholly passed becomes a
// file. See docs/adr/0011. Nothing outside of this package knows of arrow.
package archive
