package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"weir/api"
)

func reloadCommand(e *environment) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "reload [-c weir.yaml]",
		Short: "Have the weir that runs take its rules anew, without losing what it has seen",
		Long: "reload has the weir that runs with this configuration read its rules, rules: and stage: again\n" +
			"and decide by them from the next boundary of the log on. Windows whose definition did not change\n" +
			"are kept, and it is said from when on new ones are complete. Rules that cannot be read change\n" +
			"nothing: the old ones stay, and this command says why and ends with 1. Anything else in the\n" +
			"configuration takes a restart, which loses nothing either.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.reload(cmd.Context(), path) },
	}
	configFlag(cmd, &path)
	return cmd
}

func (e *environment) reload(ctx context.Context, path string) error {
	o, err := e.operator(path)
	if err != nil {
		return err
	}
	done, err := o.client.Reload(ctx, api.Order{By: operatorName()})
	if err != nil {
		return answered(err, "reload")
	}
	p := &page{w: e.out}
	for line := range strings.Lines(strings.TrimRight(done.Text, "\n") + "\n") {
		p.line("%s", shown(strings.TrimRight(line, "\n"), maxReloadLine))
	}
	return p.err
}

// maxReloadLine is how much of a line of what changed is shown.
const maxReloadLine = 1000
