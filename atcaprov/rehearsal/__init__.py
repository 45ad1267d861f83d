"""What the slots of a chip in use can do, and what each act needs: found by trying it on copies of a software chip."""
