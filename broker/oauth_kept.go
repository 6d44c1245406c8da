package broker

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// vaulted is the refresh token, as it is kept.
type vaulted struct {
	// Busy is until when somebody may be using it.
	Busy   time.Time `json:"busy,omitzero"`
	Sealed []byte    `json:"sealed"`
}

// grant is what is sealed.
type grant struct {
	Token string `json:"token"`
	// Seed is the digest of the token that was deposited, of which this one may be a successor.
	Seed [sha256.Size]byte `json:"seed"`
}

var (
	errNoGrant = errors.Join(tokenboundary.ErrDenied, PublicError("no refresh token was deposited"))
	errBook    = errors.Join(tokenboundary.ErrUnavailable, PublicError("the refresh token cannot be read from the store, or written to it"))
)

const (
	useMargin = 10 * time.Second       // by which a use is over after its context
	useTime   = time.Minute            // of a use whose context has no end
	waitTurn  = 100 * time.Millisecond // until it is looked again whether the token is free
)

// Deposit puts a refresh token into the store, in place of what is there; an empty one takes it away. One that was deposited
// already is left alone, because it may have been replaced since.
func (o *OAuth) Deposit(ctx context.Context, refreshToken string) error {
	if len(refreshToken) > maxForeignToken {
		return errors.New("broker: the refresh token is too long")
	}
	next := grant{refreshToken, sha256.Sum256([]byte(refreshToken))}
	for {
		k, v, err := o.read(ctx)
		if err != nil {
			return err
		}
		if old, err := o.open(ctx, v); err == nil && old.Seed == next.Seed {
			return nil
		}
		if _, err = o.write(ctx, k, next, time.Time{}); !errors.Is(err, tokenboundary.ErrConflict) {
			return err
		}
	}
}

// read returns what is kept.
func (o *OAuth) read(ctx context.Context) (k tokenboundary.Kept, v vaulted, err error) {
	k, err = o.cfg.Governor.Kept(ctx, o.cfg.Client, o.cfg.Connection)
	if err == nil && len(k.Value) > 0 {
		err = json.Unmarshal(k.Value, &v)
	}
	if err != nil {
		return k, v, errors.Join(errBook, err)
	}
	return k, v, nil
}

// open returns what was sealed.
func (o *OAuth) open(ctx context.Context, v vaulted) (g grant, err error) {
	if len(v.Sealed) == 0 {
		return grant{}, errNoGrant
	}
	raw, err := o.cfg.Sealer.Open(ctx, o.about(), v.Sealed)
	if err == nil {
		err = json.Unmarshal(raw, &g)
	}
	switch {
	case err != nil:
		return grant{}, errors.Join(tokenboundary.ErrUnavailable, PublicError("the refresh token in the store cannot be opened"))
	case g.Token == "":
		return grant{}, errNoGrant
	}
	return g, nil
}

// write seals a grant and replaces what is kept.
func (o *OAuth) write(ctx context.Context, k tokenboundary.Kept, g grant, busy time.Time) (tokenboundary.Kept, error) {
	raw, err := json.Marshal(g)
	if err != nil {
		return k, err
	}
	sealed, err := o.cfg.Sealer.Seal(ctx, o.about(), raw)
	if err != nil {
		return k, errBook
	}
	if k.Value, err = json.Marshal(vaulted{busy, sealed}); err != nil {
		return k, err
	}
	next, err := o.cfg.Governor.Keep(ctx, o.cfg.Client, o.cfg.Connection, k)
	if err != nil {
		return k, errors.Join(errBook, err)
	}
	return next, nil
}

// claim returns the refresh token for the one use of it that is under way anywhere, until the returned time.
func (o *OAuth) claim(ctx context.Context) (tokenboundary.Kept, grant, time.Time, error) {
	for {
		k, v, err := o.read(ctx)
		if err != nil {
			return k, grant{}, time.Time{}, err
		}
		g, err := o.open(ctx, v)
		if err != nil {
			return k, g, time.Time{}, err
		}
		now := o.cfg.Clock.Now()
		if v.Busy.After(now) {
			if err := o.pause(ctx); err != nil {
				return k, g, time.Time{}, err
			}
			continue
		}
		until := now.Add(useTime)
		if d, ok := ctx.Deadline(); ok {
			until = d.Add(useMargin)
		}
		k, err = o.write(ctx, k, g, until)
		if !errors.Is(err, tokenboundary.ErrConflict) {
			return k, g, until, err
		}
	}
}

// settle puts down what is to be used next, and gives the use back. It is tried for as long as nobody else can be using it.
func (o *OAuth) settle(ctx context.Context, k tokenboundary.Kept, g grant, until time.Time) error {
	ctx, cancel := o.cfg.Clock.WithDeadline(context.WithoutCancel(ctx), until)
	defer cancel()
	for {
		_, err := o.write(ctx, k, g, time.Time{})
		if err == nil || errors.Is(err, tokenboundary.ErrConflict) {
			return err
		}
		if o.pause(ctx) != nil {
			return err
		}
	}
}

// pause waits a little.
func (o *OAuth) pause(ctx context.Context) error {
	timer := o.cfg.Clock.Timer(waitTurn)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return errors.Join(tokenboundary.ErrUnavailable, ctx.Err())
	case <-timer.C:
		return nil
	}
}

func (o *OAuth) about() string {
	return canon.Key("refresh token of", o.cfg.Client.ID, o.cfg.Connection)
}
