// Package torture kills, starves and damages the real program while it runs,
// and demands the decisions that would have been made without any of it.
//
// A campaign writes a log as time passes, runs weir on it as an operator does,
// and computes by itself, plainly and exactly, what must have been decided. It
// looks at weir from outside only: its files, its exit code, what it says.
//
// Each campaign is one command, ends with a line of figures (-v) and does as much
// as its variable says, else little. None takes more than twelve minutes at these
// numbers on two processors; those over disks need root:
//
//	WEIR_KILLS=200 go test -count=1 -v -timeout 30m -run KilledOverFiles ./internal/torture
//	WEIR_KILLS=200 go test -count=1 -v -timeout 30m -run KilledOverATopic ./internal/torture
//	WEIR_STOPS=100 go test -count=1 -v -timeout 30m -run AStopUnderLoad ./internal/torture
//	WEIR_RELOADS=100 go test -count=1 -v -timeout 30m -run ReloadsUnderLoad ./internal/torture
//	WEIR_BROKER_KILLS=20 go test -count=1 -v -timeout 30m -run BrokerAndWeir ./internal/torture
//	WEIR_TORTURE=1 WEIR_BROKER_KILLS=20 go test -count=1 -v -timeout 30m -run OneOfThree ./internal/torture
//	WEIR_POWER_CUTS=20 go test -count=1 -v -timeout 30m -run PowerCut ./internal/torture
//	WEIR_DAMAGES=1000 go test -count=1 -v -timeout 30m -run Damaged ./internal/torture
//	go test -count=1 -v -run 'FullDisk|TemporaryStore' ./internal/torture
//
// WEIR_PROGRAM names a weir that was built already (with -tags failpoints), WEIR_KEEP=1 leaves the files of
// a campaign that failed where they are.
package torture
