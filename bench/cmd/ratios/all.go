package main

import (
	"github.com/tokenboundary/tokenboundary/bench/cases"
	"github.com/tokenboundary/tokenboundary/bench/peers"
	"github.com/tokenboundary/tokenboundary/bench/suite"
)

// all returns every case, the peers behind those of ours in each group.
func all() []suite.Case { return append(cases.All(), peers.All()...) }
