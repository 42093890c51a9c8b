// Command weir detects account takeover, scraping and low-and-slow campaigns
// in access logs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { // a second signal ends the process at once
		if os.Getpid() != 1 {
			stop()
			return
		}
		// In a container nobody but the process itself can see to that.
		again := make(chan os.Signal, 1)
		signal.Notify(again, os.Interrupt, syscall.SIGTERM)
		<-again
		os.Exit(exitCode(context.Canceled))
	})
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "weir:", err)
		os.Exit(exitCode(err))
	}
}

// errUsage is what every mistake in how the command was called or configured is.
var errUsage = errors.New("usage")

type usageError struct{ error }

// Is makes a usageError an errUsage.
func (usageError) Is(target error) bool { return target == errUsage }

// Unwrap returns what the mistake was found by.
func (u usageError) Unwrap() error { return u.error }

// interruptedError says that a signal ended the work before its end.
type interruptedError string

func (i interruptedError) Error() string { return string(i) }

// Is makes an interruptedError a context.Canceled, whatever came of it.
func (interruptedError) Is(target error) bool { return target == context.Canceled }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errFindings says that a check found faults, which were printed.
var errFindings = errors.New("faults found")

func exitCode(err error) int {
	switch {
	case errors.Is(err, context.Canceled):
		return 130
	case errors.Is(err, errUsage):
		return 2
	}
	return 1
}

// run is the whole program but for the process around it.
func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	root := &cobra.Command{
		Use:           "weir",
		Short:         "Finds account takeover, scraping and low-and-slow campaigns in access logs",
		Long:          "weir reads access logs, keeps sliding windows per address, network, account and\nfingerprint, evaluates rules and says what to block. It stands beside the traffic, never in it.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q (see weir --help)", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.Version = version()
	root.SetVersionTemplate(versionText(debug.ReadBuildInfo()))
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w (see %s --help)", err, cmd.CommandPath())
	})
	e := &environment{out: out, errOut: errOut, log: slog.New(slog.NewTextHandler(errOut, nil))}
	root.AddCommand(
		inspectCommand(e), replayCommand(e), rulesCommand(e), simulateCommand(e), demoCommand(e), scoreCommand(e),
		checkCommand(e), runCommand(e), statusCommand(e), decisionsCommand(e), whyCommand(e),
		blockCommand(e), unblockCommand(e), approveCommand(e), stopBlockingCommand(e), reloadCommand(e), pointsCommand(e), stateCommand(e), versionCommand(e),
	)
	err := root.ExecuteContext(ctx)
	if interrupted := interruptedError(""); errors.Is(err, context.Canceled) && !errors.As(err, &interrupted) {
		return interruptedError("interrupted")
	}
	return err
}

// environment is where a command's results and logs go.
type environment struct {
	out, errOut io.Writer
	log         *slog.Logger
}
