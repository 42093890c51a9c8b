// Package failpoint lets tests kill a process at places where a crash hurts
// most. A program built without the tag failpoints has none of it.
package failpoint
