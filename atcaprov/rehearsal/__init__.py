"""What the slots of a chip in use can do, and what each use needs: found by trying it on copies of a software chip."""
