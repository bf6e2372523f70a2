"""The figure of the README: fits.png of a comparison, made small.

    python -m tinymaml compare
    python tests/bench/readme_figure.py runs/compare-sinusoids-1/fits.png        writes tests/bench/fits.png
"""

import sys
from pathlib import Path

from PIL import Image

WIDTH, COLOURS = 1080, 96

if __name__ == "__main__":
    image = Image.open(sys.argv[1]).convert("RGB")
    image = image.resize((WIDTH, round(WIDTH * image.height / image.width)), Image.Resampling.LANCZOS)
    target = Path(__file__).with_name("fits.png")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target}: {target.stat().st_size // 1000} kB")
