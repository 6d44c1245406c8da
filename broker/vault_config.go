package broker

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// vaultPath is what a path at the vault may look like: nothing that is written in another way, or leads elsewhere.
var vaultPath = regexp.MustCompile(`^[A-Za-z0-9_@+-][A-Za-z0-9_.@+-]*(/[A-Za-z0-9_@+-][A-Za-z0-9_.@+-]*)*$`)

const maxVaultPath = 512

// NewVault returns a provider. The error names the field of cfg that it cannot work with.
func NewVault(cfg VaultConfig) (*Vault, error) {
	address, err := canon.SecureURL(cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("broker: VaultConfig.Address %w", err)
	}
	if address.RawQuery != "" {
		return nil, errors.New("broker: VaultConfig.Address has no query")
	}
	for _, check := range []func(VaultConfig) string{vaultRead, vaultLent, vaultLogin} {
		if what := check(cfg); what != "" {
			return nil, errors.New("broker: VaultConfig." + what)
		}
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.New()
	}
	if cfg.Login.Mount == "" {
		cfg.Login.Mount = "jwt"
		if cfg.Login.SecretID != nil {
			cfg.Login.Mount = "approle"
		}
	}
	return &Vault{cfg: cfg, address: address, http: plainClient(cfg.TLS), turn: make(chan struct{}, 1)}, nil
}

// vaultRead says what is wrong with what is read.
func vaultRead(cfg VaultConfig) string {
	switch {
	case cfg.Kind != VaultDynamic && cfg.Kind != VaultKV:
		return "Kind is required: dynamic or kv"
	case (cfg.Path == "") == (len(cfg.Paths) == 0):
		return "Path or Paths is required, and not both"
	case cfg.Path != "" && !vaultBelow(cfg.Path):
		return "Path is not a path of a vault"
	case strings.ContainsFunc(cfg.Namespace, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "Namespace has other than visible characters"
	}
	for scope, path := range cfg.Paths {
		if scope == "" || !vaultBelow(path) {
			return fmt.Sprintf("Paths: %q does not stand for a path of a vault", scope)
		}
	}
	for ours, theirs := range cfg.Fields {
		if ours == "" || theirs == "" {
			return "Fields has an empty name"
		}
	}
	return ""
}

// vaultLent says what is wrong with how a secret is made for a lease.
func vaultLent(cfg VaultConfig) string {
	switch {
	case cfg.Kind == VaultKV && (cfg.TokenRole != "" || cfg.Journal != ""):
		return "TokenRole and Journal are for dynamic secrets only"
	case cfg.Kind == VaultKV:
		return ""
	case !vaultName(cfg.TokenRole) || strings.Contains(cfg.TokenRole, "/"):
		return "TokenRole is required: the name of a role"
	case !vaultBelow(cfg.Journal):
		return "Journal is required: a mount and a path"
	}
	return ""
}

// vaultLogin says what is wrong with the login.
func vaultLogin(cfg VaultConfig) string {
	l, ways := cfg.Login, 0
	for _, way := range []func(context.Context) (string, error){l.JWT, l.SecretID, l.Token} {
		if way != nil {
			ways++
		}
	}
	switch {
	case ways != 1:
		return "Login: one of JWT, SecretID and Token is required"
	case l.Token != nil && (l.Mount != "" || l.Role != ""):
		return "Login: Mount and Role are not for a token"
	case l.Token == nil && l.Role == "":
		return "Login: Role is required"
	case l.Mount != "" && !vaultName(l.Mount):
		return "Login: Mount is not a path of a vault"
	}
	return ""
}

func vaultName(s string) bool { return len(s) <= maxVaultPath && vaultPath.MatchString(s) }

// vaultBelow reports whether s is a path below a mount.
func vaultBelow(s string) bool {
	return vaultName(s) && strings.Contains(s, "/") && !strings.HasPrefix(s, "v1/") && !strings.HasPrefix(s, "sys/")
}

// ReadValue returns a function for VaultLogin that reads a file each time, because others may replace what is in it. One trailing newline
// is ignored. An error does not repeat what is in the file.
func ReadValue(file string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		value, err := readValue(file)
		if err != nil || value == "" || len(value) > maxStatic {
			return "", errors.Join(tokenboundary.ErrUnavailable, PublicError("a file cannot be read, is empty or too long"))
		}
		return value, nil
	}
}
