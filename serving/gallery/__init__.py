"""Keeps a gallery of embedded pictures, and finds the nearest of them for a query.

    python -m serving.gallery build --server=localhost:8500 --gallery=gal/ crops/
    python -m serving.gallery add --server=localhost:8500 --gallery=gal/ new_crops/
    python -m serving.gallery fill --gallery=gal/ --shards=embeddings/
    python -m serving.gallery search --server=localhost:8500 --gallery=gal/ query.jpg --html=r.html
    python -m serving.gallery move --gallery=gal/ --to=http://localhost:19530/people
    python -m serving.gallery remove --gallery=gal/ --older_than=30d
    python -m serving.gallery check --gallery=gal/ --remove
    python -m serving.gallery info --gallery=gal/

A gallery holds embeddings and paths, not the pictures. The commands that embed nothing need no
server. Interrupted, `build`, `add` and `fill` keep what was committed; `add` with the same
pictures, and the same `fill`, then go on. What is removed leaves no trace in the gallery's folder;
copies of the folder, snapshots and the disk's own spare blocks are yours to see to.
"""
