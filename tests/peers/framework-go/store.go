package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// store keeps each item as one JSON file.
type store struct {
	directory string
}

type storedItem struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Enabled     bool              `json:"enabled"`
	Replicas    int64             `json:"replicas"`
	Ratio       *float64          `json:"ratio"`
	Tier        string            `json:"tier"`
	Labels      map[string]string `json:"labels"`
	Zones       []string          `json:"zones"`
	Limits      *storedLimits     `json:"limits"`
	Revision    int64             `json:"revision"`
	Checksum    string            `json:"checksum"`
}

type storedLimits struct {
	CPU    int64  `json:"cpu"`
	Memory string `json:"memory"`
	Burst  bool   `json:"burst"`
}

func (s *store) file(name string) string {
	return filepath.Join(s.directory, name+".json")
}

// load returns nil if there is no such item.
func (s *store) load(name string) (*storedItem, error) {
	bytes, err := os.ReadFile(s.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var item storedItem
	if err := json.Unmarshal(bytes, &item); err != nil {
		return nil, err
	}
	return &item, nil
}

func (s *store) save(item *storedItem) error {
	bytes, err := json.Marshal(item)
	if err != nil {
		return err
	}
	return os.WriteFile(s.file(item.Name), bytes, 0o600)
}

func (s *store) remove(name string) error {
	if err := os.Remove(s.file(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
