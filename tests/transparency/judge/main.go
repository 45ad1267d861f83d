// The judge of our transparency logs: notes, trees and proofs are checked by Go's sumdb/note and sumdb/tlog.
//
// It prints what it found, or a line with the reason and exits with 1.
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// otherVerifier verifies the signature types that sumdb/note does not know.
type otherVerifier struct {
	name   string
	hash   uint32
	verify func(message, signature []byte) bool
}

func (v *otherVerifier) Name() string                          { return v.name }
func (v *otherVerifier) KeyHash() uint32                       { return v.hash }
func (v *otherVerifier) Verify(message, signature []byte) bool { return v.verify(message, signature) }

func verifierOf(text string) (note.Verifier, error) {
	parts := strings.SplitN(text, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("a key without three parts")
	}
	data, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, err
	}
	hash, err := strconv.ParseUint(parts[1], 16, 32)
	if err != nil {
		return nil, err
	}
	var sum [32]byte
	var verify func(message, signature []byte) bool
	switch data[0] {
	case 1:
		return note.NewVerifier(text)
	case 2:
		public, err := x509.ParsePKIXPublicKey(data[1:])
		if err != nil {
			return nil, err
		}
		sum = sha256.Sum256(data[1:])
		verify = func(message, signature []byte) bool {
			digest := sha256.Sum256(message)
			return ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), digest[:], signature)
		}
	case 4:
		sum = sha256.Sum256([]byte(parts[0] + "\n" + string(data)))
		verify = func(message, signature []byte) bool {
			if len(signature) != 8+ed25519.SignatureSize {
				return false
			}
			time := binary.BigEndian.Uint64(signature)
			cosigned := fmt.Sprintf("cosignature/v1\ntime %d\n%s", time, message)
			return ed25519.Verify(ed25519.PublicKey(data[1:]), []byte(cosigned), signature[8:])
		}
	default:
		return nil, errors.New("an unknown type of key")
	}
	if binary.BigEndian.Uint32(sum[:4]) != uint32(hash) {
		return nil, errors.New("a wrong key id")
	}
	return &otherVerifier{parts[0], uint32(hash), verify}, nil
}

// open returns the tree of a checkpoint that each of the keys has signed.
func open(data []byte, keys []string) (tlog.Tree, string, error) {
	var tree tlog.Tree
	var verifiers []note.Verifier
	for _, key := range keys {
		verifier, err := verifierOf(key)
		if err != nil {
			return tree, "", err
		}
		verifiers = append(verifiers, verifier)
	}
	opened, err := note.Open(data, note.VerifierList(verifiers...))
	if err != nil {
		return tree, "", err
	}
	if len(opened.Sigs) != len(keys) {
		return tree, "", fmt.Errorf("%d of %d keys have signed", len(opened.Sigs), len(keys))
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 {
		return tree, "", errors.New("a checkpoint with too few lines")
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, "", err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, lines[0], err
}

// folderTiles reads the tiles of an exported folder; it takes a full tile where only a part of it is needed.
type folderTiles struct{ folder string }

func (t folderTiles) Height() int                         { return 8 }
func (t folderTiles) SaveTiles(_ []tlog.Tile, _ [][]byte) {}
func (t folderTiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(t.folder, path))
		if err != nil && tile.W < 256 {
			full, _, _ := strings.Cut(path, ".p/")
			data, err = os.ReadFile(filepath.Join(t.folder, full))
		}
		if err != nil {
			return nil, err
		}
		if len(data) < tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s is too short", path)
		}
		all = append(all, data[:tile.W*tlog.HashSize])
	}
	return all, nil
}

// entry reads one entry of an exported folder.
func entry(folder string, size, index int64) ([]byte, error) {
	tile := tlog.Tile{H: 8, L: -1, N: index / 256, W: 256}
	if size-tile.N*256 < 256 {
		tile.W = int(size - tile.N*256)
	}
	path := strings.Replace(tile.Path(), "tile/8/data/", "tile/entries/", 1)
	data, err := os.ReadFile(filepath.Join(folder, path))
	if err != nil {
		return nil, err
	}
	for skip := index % 256; ; skip-- {
		length := int(binary.BigEndian.Uint16(data))
		if skip == 0 {
			return data[2 : 2+length], nil
		}
		data = data[2+length:]
	}
}

// checkLog checks every entry of an exported folder, and that it continues an older checkpoint.
func checkLog(folder, old string, keys []string) error {
	data, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		return err
	}
	tree, origin, err := open(data, keys)
	if err != nil {
		return err
	}
	hashes := tlog.TileHashReader(tree, folderTiles{folder})
	for index := int64(0); index < tree.N; index++ {
		body, err := entry(folder, tree.N, index)
		if err != nil {
			return err
		}
		proof, err := tlog.ProveRecord(tree.N, index, hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(body)); err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
	}
	if old != "" {
		data, err := os.ReadFile(old)
		if err != nil {
			return err
		}
		before, _, err := open(data, keys[:1])
		if err != nil {
			return err
		}
		proof, err := tlog.ProveTree(tree.N, before.N, hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, before.N, before.Hash); err != nil {
			return err
		}
	}
	fmt.Printf("%s %d %s\n", origin, tree.N, tree.Hash)
	return nil
}

// hashList returns the hashes of lines in Base64.
func hashList(lines []string) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, hash)
	}
	return hashes, nil
}

// checkProof checks a file in the form of tlog-proof for an entry.
func checkProof(proofFile, entryFile string, keys []string) error {
	data, err := os.ReadFile(proofFile)
	if err != nil {
		return err
	}
	body, err := os.ReadFile(entryFile)
	if err != nil {
		return err
	}
	head, checkpoint, _ := bytes.Cut(data, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("another first line")
	}
	lines = lines[1:]
	if strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:]
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "index "), 10, 64)
	if err != nil {
		return err
	}
	hashes, err := hashList(lines[1:])
	if err != nil {
		return err
	}
	tree, origin, err := open(checkpoint, keys)
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(hashes, tree.N, tree.Hash, index, tlog.RecordHash(body)); err != nil {
		return err
	}
	fmt.Printf("%s %d %d\n", origin, tree.N, index)
	return nil
}

// checkGrowth checks a consistency proof: size and root of both trees, then the hashes.
func checkGrowth(arguments []string) error {
	oldSize, err := strconv.ParseInt(arguments[0], 10, 64)
	if err != nil {
		return err
	}
	newSize, err := strconv.ParseInt(arguments[2], 10, 64)
	if err != nil {
		return err
	}
	hashes, err := hashList(append([]string{arguments[1], arguments[3]}, arguments[4:]...))
	if err != nil {
		return err
	}
	return tlog.CheckTree(hashes[2:], newSize, hashes[1], oldSize, hashes[0])
}

func openFile(file string, keys []string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	tree, origin, err := open(data, keys)
	if err == nil {
		fmt.Printf("%s %d %s\n", origin, tree.N, tree.Hash)
	}
	return err
}

func main() {
	command, arguments := os.Args[1], os.Args[2:]
	var err error
	switch command {
	case "open": // NOTE KEY...
		err = openFile(arguments[0], arguments[1:])
	case "log": // FOLDER OLD-CHECKPOINT-OR-EMPTY KEY...
		err = checkLog(arguments[0], arguments[1], arguments[2:])
	case "proof": // PROOF ENTRY KEY...
		err = checkProof(arguments[0], arguments[1], arguments[2:])
	case "growth": // OLD-SIZE OLD-ROOT NEW-SIZE NEW-ROOT HASH...
		err = checkGrowth(arguments)
	default:
		err = errors.New("unknown command")
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
