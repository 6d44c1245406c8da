package cases

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"

	"github.com/tokenboundary/tokenboundary/bench/suite"
)

// signingInput is how many bytes are signed: those of a token of a dozen claims.
const signingInput = 900

func bare() []suite.Case {
	return []suite.Case{
		{Group: GroupBare, Name: "P-256 verify + sign", Open: func(string) (*suite.Instance, error) { return openBare(true) }},
		{Group: GroupBare, Name: "P-256 sign", Base: VerifyAndSign, Open: func(string) (*suite.Instance, error) { return openBare(false) }},
	}
}

// openBare hashes and signs a new message in each operation and, if verifies, hashes and verifies another before.
func openBare(verifies bool) (*suite.Instance, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	old, message := make([]byte, signingInput), make([]byte, signingInput)
	old[0] = 1
	digest := sha256.Sum256(old)
	known, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		return nil, err
	}
	verify := func(message, signature []byte) error {
		digest := sha256.Sum256(message)
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) {
			return errors.New("the signature does not verify")
		}
		return nil
	}
	var last []byte
	op := func(int) error {
		if verifies {
			if err := verify(old, known); err != nil {
				return err
			}
		}
		message[0]++
		digest := sha256.Sum256(message)
		var err error
		last, err = ecdsa.SignASN1(rand.Reader, key, digest[:])
		return err
	}
	return &suite.Instance{
		Op: op,
		Check: func() error {
			if err := op(0); err != nil {
				return err
			}
			return verify(message, last)
		},
		Refuse: func() error { return mustFail(verify(message[1:], last), "another message was accepted") },
	}, nil
}

// mustFail returns an error that says what was accepted if err is nil.
func mustFail(err error, what string) error {
	if err == nil {
		return errors.New(what)
	}
	return nil
}

// recordSize is that of a record of the lineage with its indexes, rounded up.
const recordSize = 1024

// openAppend appends a record to a file and waits until it is on the disk: the least that a lone caller must wait for.
func openAppend(dir string) (*suite.Instance, error) {
	name := filepath.Join(dir, "append.log")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	record := make([]byte, recordSize)
	op := func(int) error {
		if _, err := f.Write(record); err != nil {
			return err
		}
		return f.Sync()
	}
	return &suite.Instance{
		Op: op,
		Check: func() error {
			if err := op(0); err != nil {
				return err
			}
			if info, err := os.Stat(name); err != nil || info.Size()%recordSize != 0 || info.Size() == 0 {
				return errors.New("the file does not hold whole records")
			}
			return nil
		},
		Refuse: func() error {
			read, err := os.Open(name)
			if err != nil {
				return err
			}
			_, err = read.Write(record)
			return errors.Join(mustFail(err, "a file that is open for reading was written"), read.Close())
		},
		Close: f.Close,
	}, nil
}
