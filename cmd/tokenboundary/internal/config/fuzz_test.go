package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzParse holds that any text gives either a configuration or one error that names the file, and never a panic; and
// that what is accepted is complete.
func FuzzParse(f *testing.F) {
	dir := room(f)
	path := filepath.Join(dir, "boundary.yaml")
	f.Add(base)
	f.Add("issuer: &a [*a]\n")
	f.Add("clients:\n- {<<: {id: x}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parse(dir, text)
		if err != nil {
			require.Nil(t, c)
			require.True(t, strings.HasPrefix(err.Error(), path+":"), "%v", err)
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.NotEmpty(t, c.Issuer)
		require.NotEmpty(t, c.Listen)
		require.NotEmpty(t, c.Policies)
		require.NotEmpty(t, c.Signing.Dir)
		for _, cl := range c.Clients {
			require.NotEmpty(t, cl.ID)
			require.NotEmpty(t, cl.Kind)
			require.True(t, (cl.Auth.Assertion != nil) != (cl.Auth.Secret != ""))
		}
	})
}
