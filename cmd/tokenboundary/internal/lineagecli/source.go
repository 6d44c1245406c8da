package lineagecli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/cmd/tokenboundary/internal/config"
	"github.com/tokenboundary/tokenboundary/internal/front"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/bolt"
	"github.com/tokenboundary/tokenboundary/store/postgres"
)

// source is where a command reads.
type source struct{ config, file, issuer string }

func (s *source) flags(f *flag.FlagSet) {
	f.StringVar(&s.config, "config", "", "the configuration `FILE` of the server: its store and its issuer")
	f.StringVar(&s.file, "store", "", "the `FILE` of a bolt store instead, such as a copy")
	f.StringVar(&s.issuer, "issuer", "", "the `URL` of the boundary that wrote it, where there is no --config")
}

// misused says what is wrong with how the flags are used; empty where nothing is.
func (s *source) misused() string {
	switch {
	case s.config == "" && (s.file == "" || s.issuer == ""):
		return "--config is required, or --store and --issuer"
	case s.config != "" && s.issuer != "":
		return "--issuer is what --config says: give one of them"
	}
	return ""
}

// keptStore is a store that can be asked, and looked through.
type keptStore interface {
	store.Examiner
	store.Forgetter
	store.Store
	io.Closer
}

// history is an open store, and what is known of the boundary that wrote it.
type history struct {
	keptStore
	issuer string
	// all says that nothing is ever forgotten; else keep is for how long what has ended is kept at least.
	all  bool
	keep time.Duration
}

// open opens the store, of which nothing is changed.
func (s *source) open(ctx context.Context) (h history, err error) {
	h.issuer = s.issuer
	var from config.Store
	if s.config != "" {
		cfg, err := config.Load(s.config)
		if err != nil {
			return h, err
		}
		h.issuer, from = cfg.Issuer, cfg.Store
		h.all, h.keep = cfg.Retention.Keep == 0, cfg.Retention.Keep
	}
	if s.file != "" {
		from = config.Store{Bolt: s.file}
	}
	switch {
	case from.Bolt != "":
		h.keptStore, err = openFile(from.Bolt)
	case from.Postgres != nil:
		o := from.Postgres.Options
		o.Listen, o.Silent = "", true // nobody has to be told of anything
		h.keptStore, err = postgres.Open(ctx, string(from.Postgres.DSN), o)
	default:
		err = errors.New("a store in memory is gone with its server: nothing can be read")
	}
	return h, err
}

func openFile(path string) (*bolt.Store, error) {
	s, err := bolt.Open(path, bolt.Options{ReadOnly: true})
	if errors.Is(err, bolt.ErrLocked) {
		err = fmt.Errorf("%w: a server that runs keeps it to itself. Ask the server (GET /lineage), or give a copy with --store, made "+
			"while it is stopped or by a snapshot of the file system, with the file %s-wal if there is one", err, path)
	}
	return s, err
}

var errName = errors.New("neither the id of a record nor a token")

// named reads an id, or the id that a token has. Nothing else of a token is looked at, and nothing of it is ever shown.
func named(text string) (lineage.ID, error) {
	if !strings.Contains(text, ".") {
		id, err := lineage.ParseID(text)
		if err != nil {
			return id, errName
		}
		return id, nil
	}
	var claims struct {
		ID lineage.ID `json:"jti"`
	}
	t, err := front.Parse(strings.TrimSpace(text))
	if err != nil || json.Unmarshal(t.Payload, &claims) != nil || claims.ID.IsZero() {
		return lineage.ID{}, errName
	}
	return claims.ID, nil
}
