package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func versionCommand(e *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which weir this is, and what it was built with",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(e.out, versionText(debug.ReadBuildInfo()))
			return err
		},
	}
}

// version is what the binary was built from: a release, else the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	name, _, _ := builtFrom(info, ok)
	return name
}

// unknownVersion is that nobody noted what the binary was built from.
const unknownVersion = "devel"

// builtFrom reads what the compiler noted: a release or a commit, of when, and
// whether the sources were others than the commit's.
func builtFrom(info *debug.BuildInfo, ok bool) (name, at string, modified bool) {
	if !ok || info == nil {
		return unknownVersion, "", false
	}
	name = unknownVersion
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			name = s.Value[:min(len(s.Value), 12)]
		case "vcs.time":
			at = s.Value
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	if v := info.Main.Version; name == unknownVersion && v != "" && v != "(devel)" {
		name = v
	}
	return name, at, modified
}

// versionText is the answer of weir version.
func versionText(info *debug.BuildInfo, ok bool) string {
	name, at, modified := builtFrom(info, ok)
	text := "weir " + name
	if at != "" {
		text += " of " + at
	}
	if modified {
		text += ", with changes"
	}
	return fmt.Sprintf("%s\nbuilt with %s for %s/%s\n", text, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
