package peers

import (
	"testing"

	"github.com/tokenboundary/tokenboundary/bench/suite/suitetest"
)

func TestEveryCaseDoesWhatItSays(t *testing.T) { suitetest.Run(t, All()) }
