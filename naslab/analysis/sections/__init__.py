"""The sections of a comparison's report, one file each.

Frames in, sections out: what is computed lives beside this folder, and what a page looks like in `report.html.j2`.
"""
